"""Import of files of saved objects into a Kibana, through its saved-objects API."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from conf.errors import CitystreamError
from conf.settings import Kibana

_PAUSE_SECONDS = 2
_READY = ("available", "degraded")


class ImportFailedError(CitystreamError):
    """Kibana is out of reach or refused an object; the message says what to change."""


def client(kibana: Kibana, url: str | None = None) -> httpx.Client:
    """A client of the Kibana at this address, or at that of the settings.

    Raises:
        ImportFailedError: the address is none.
    """
    password = kibana.password.get_secret_value() if kibana.password else None
    address = (url or kibana.url).rstrip("/")
    if httpx.URL(address).scheme not in ("http", "https"):
        message = f"{address} is no address of a Kibana: it begins with http:// or https://."
        raise ImportFailedError(message)
    return httpx.Client(
        base_url=address,
        auth=(kibana.user, password) if password else None,
        # Kibana takes no change from a page of somewhere else: a program proves with this header that it is none.
        headers={"kbn-xsrf": "citystream"},
        timeout=60,
    )


def dashboard(http: httpx.Client, id: str) -> str:
    """The address of a dashboard, for people."""
    return str(http.base_url.join(f"app/dashboards#/view/{id}"))


def await_ready(http: httpx.Client, seconds: float, say: Callable[[str], None]) -> None:
    """Wait until Kibana says that it is ready.

    Args:
        http: a client of `client`.
        seconds: for how long.
        say: takes what is waited for, each time that it changes.

    Raises:
        ImportFailedError: it was not ready in time, refuses the login, or is no Kibana.
    """
    deadline = time.monotonic() + seconds
    said = ""
    while (trouble := _trouble(http)) is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            message = (
                f"Kibana at {http.base_url} was not ready within {seconds:.0f} s: {trouble}. "
                "Start it, set KIBANA_URL or give --url, see its log, or wait longer (--wait)."
            )
            raise ImportFailedError(message)
        if trouble != said:
            say(f"Waiting for Kibana at {http.base_url}: {trouble}")
            said = trouble
        time.sleep(min(_PAUSE_SECONDS, max(left, 0)))


def import_file(http: httpx.Client, file: Path) -> int:
    """Import all objects of a file, over what is there under the same ids; return how many.

    Raises:
        ImportFailedError: names each object that was refused, and why.
    """
    try:
        response = http.post(
            "/api/saved_objects/_import",
            params={"overwrite": "true"},
            files={"file": (file.name, file.read_bytes(), "application/ndjson")},
        )
    except httpx.HTTPError as error:
        message = (
            f"Kibana at {http.base_url} did not answer the import of {file.name}: {error or type(error).__name__}."
        )
        raise ImportFailedError(message) from error
    _check_login(http, response)
    answer = _json(response)
    if response.status_code != httpx.codes.OK:
        said = answer.get("message") or response.text[:200]
        message = f"Kibana at {http.base_url} refused {file.name}: HTTP {response.status_code}, {said}"
        raise ImportFailedError(message)
    # A refused object is no error of HTTP.
    if not answer.get("success"):
        refused = "\n".join(f"  {_described(error)}" for error in answer.get("errors", []))
        message = f"Kibana at {http.base_url} did not take all of {file.name}:\n{refused}"
        raise ImportFailedError(message)
    return int(answer["successCount"])


def _trouble(http: httpx.Client) -> str | None:
    """Why it is not ready; None when it is."""
    try:
        response = http.get("/api/status", timeout=10)
    except httpx.HTTPError as error:
        return f"it does not answer ({error or type(error).__name__})"
    _check_login(http, response)
    level = (_json(response).get("status") or {}).get("overall", {}).get("level")
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or (level is not None and level not in _READY):
        return f"it is not ready yet (HTTP {response.status_code}, {level or response.text[:80].strip()})"
    if level is None:
        message = (
            f"What answers at {http.base_url} is no Kibana (HTTP {response.status_code} at /api/status): "
            "set KIBANA_URL, or give --url, with the base path if it has one."
        )
        raise ImportFailedError(message)
    return None


def _check_login(http: httpx.Client, response: httpx.Response) -> None:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        message = f"Kibana at {http.base_url} does not know this login: set KIBANA_USER and KIBANA_PASSWORD."
        raise ImportFailedError(message)
    if response.status_code == httpx.codes.FORBIDDEN:
        message = (
            f"Kibana at {http.base_url} forbids it to this user: "
            "give KIBANA_USER all rights on Saved Objects Management, or name another one."
        )
        raise ImportFailedError(message)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _described(refused: dict[str, Any]) -> str:
    error = refused.get("error", {})
    missing = ", ".join(f"{each['type']} {each['id']}" for each in error.get("references", []))
    why = " ".join(part for part in (error.get("type"), missing, error.get("message")) if part)
    return f"{refused.get('type')} {refused.get('id')}: {why}"
