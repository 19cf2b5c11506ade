"""Elasticsearch's accounts: the API key that jobs write with, and the passwords of its built-in users.

`python -m stack.accounts` sets them up in docker-compose.yml's Elasticsearch, and leaves the key in the env file that
all settings are read from. Run it again at any time: a key that still serves stays.
"""

import functools
import os
import sys

import elastic_transport
from elasticsearch import ApiError, AuthenticationException, Elasticsearch

from conf.errors import command
from conf.settings import load
from conf.streams import STREAMS
from stack.credentials import write_private
from stack.errors import StackError

# What streams write, the city's districts, and the indices of the sinks' own tests.
_WRITTEN = [
    index for stream in STREAMS.values() for index in (*stream.indices, *(each.table for each in stream.totals))
]
INDICES = tuple(f"{name}*" for name in (*_WRITTEN, "districts", "citystream-test"))
_ROLE = {
    "cluster": ["monitor", "manage_index_templates"],
    "indices": [{"names": list(INDICES), "privileges": ["manage", "read", "write", "create_index", "monitor"]}],
}
# Who logs in with a password of docker-compose.yml, and the variable that holds it.
BUILT_IN = {"kibana_system": "KIBANA_SYSTEM_PASSWORD", "remote_monitoring_user": "MONITORING_PASSWORD"}


class Accounts:
    """The accounts of the server at `url`, seen by its superuser."""

    def __init__(self, url: str, password: str) -> None:
        self._connect = functools.partial(Elasticsearch, url, request_timeout=8, max_retries=0)
        self._superuser = ("elastic", password)

    def api_key(self, known: str | None) -> str:
        """The encoded key of jobs: `known` while the server lets it write to all our indices, else a new one."""
        if known is not None and self._may_write(known):
            return known
        with self._connect(basic_auth=self._superuser) as client:
            created = client.security.create_api_key(name="citystream", role_descriptors={"citystream": _ROLE})
        return str(created["encoded"])

    def _may_write(self, key: str) -> bool:
        wanted = [{"names": list(INDICES), "privileges": ["write"]}]
        try:
            with self._connect(api_key=key) as client:
                # False: a key from before an index came to the list.
                return bool(client.security.has_privileges(index=wanted)["has_all_requested"])
        except AuthenticationException:  # a key of data that has been forgotten since
            return False

    def await_answer(self, seconds: int) -> None:
        """Return once the server takes requests; `GET /` answers 405 on the local stack's distribution."""
        with self._connect(basic_auth=self._superuser) as client:
            client.cluster.health(wait_for_status="yellow", timeout=f"{seconds}s")

    def set_password(self, user: str, password: str) -> None:
        """Give a built-in user its password."""
        with self._connect(basic_auth=self._superuser) as client:
            client.security.change_password(username=user, password=password)


def _secret(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        msg = f"{name} is not set: docker-compose.yml takes it from .env, see .env.example."
        raise StackError(msg)
    return value


@command
def main() -> int:
    """Set up what docker-compose.yml's services log in with; 0 when they can."""
    try:
        settings = load()
        accounts = Accounts(settings.elasticsearch.url, _secret("ELASTIC_PASSWORD"))
        for user, name in BUILT_IN.items():
            accounts.set_password(user, _secret(name))
        known = settings.elasticsearch.api_key
        key = accounts.api_key(known.get_secret_value() if known else None)
        write_private(settings.stack.path / "env", f"ELASTICSEARCH_API_KEY={key}\n")
    except AuthenticationException:
        msg = (
            "Elasticsearch refuses ELASTIC_PASSWORD: it takes that of its first start. Set the old one in .env, "
            "or forget all data with `docker compose down --volumes`."
        )
        raise StackError(msg) from None
    except (ApiError, elastic_transport.TransportError) as error:
        msg = f"Elasticsearch can't be set up: {error}"
        raise StackError(msg) from None
    print(f"Passwords set: {', '.join(BUILT_IN)}. The API key of jobs is in {settings.stack.directory}/env.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
