"""`python -m board`: serve where BOARD_URL says."""

import importlib
import logging
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import uvicorn

import board
from board import app
from conf.errors import command
from conf.settings import Settings, load

# The stack's addresses may come, or change, while the service is up; reading them takes most of a tenth of a second.
SETTINGS_SECONDS = 5


def parts() -> Iterator[app.Part]:
    """Those of each module here that has a `part`, which takes how settings are loaded."""
    recent = remembered(load)
    for found in pkgutil.iter_modules(board.__path__, f"{board.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "part"):
            yield module.part(recent)


def remembered(load: Callable[[], Settings], seconds: float = SETTINGS_SECONDS) -> Callable[[], Settings]:
    """The settings, loaded again when they are older than this."""
    known: list[tuple[float, Settings]] = []

    def recent() -> Settings:
        if not known or time.monotonic() - known[-1][0] > seconds:
            known[:] = [(time.monotonic(), load())]
        return known[-1][1]

    return recent


@command
def main() -> int:
    """Serve until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # A server that is away is said on the page, not once a second in the log.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    address = urlsplit(load().board.url)
    host, port = address.hostname or "localhost", address.port or 80
    # Pages that look on live never go by themselves.
    uvicorn.run(app.create(*parts()), host=host, port=port, access_log=False, timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
