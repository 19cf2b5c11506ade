"""Generated once per stack, kept beside its data: passwords, the API key, the board's token, the Kafka cluster's id."""

import base64
import json
import os
import secrets
import uuid
from pathlib import Path

_TOKEN_BYTES = 18


class Credentials:
    """The generated values, in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @property
    def postgres_owner(self) -> str:
        """The password of PostgreSQL's superuser, for setting up only."""
        return self._once("postgres_owner", secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def postgres(self) -> str:
        """The password of the user that jobs log in as."""
        return self._once("postgres", secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def elastic(self) -> str:
        """The bootstrap password of Elasticsearch's superuser, for setting up only."""
        return self._once("elastic", secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def board(self) -> str:
        """The token for actions on the board's pages."""
        return self._once("board", secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def kafka_cluster(self) -> str:
        """The id that all three Kafka nodes were formatted with."""
        return self._once("kafka_cluster", base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode())

    @property
    def api_key(self) -> str | None:
        """The encoded Elasticsearch API key, once there is one."""
        return self._values.get("api_key")

    @api_key.setter
    def api_key(self, value: str) -> None:
        self._values["api_key"] = value
        self._write()

    def _once(self, name: str, fresh: str) -> str:
        if name not in self._values:
            self._values[name] = fresh
            self._write()
        return self._values[name]

    def _write(self) -> None:
        write_private(self._path, json.dumps(self._values, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, at no moment and never by half."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def private_folder(folder: Path) -> Path:
    """Make a folder that nobody else can enter, or close the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
