"""`python -m board`: serve where BOARD_URL says."""

import importlib
import logging
import pkgutil
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import uvicorn

import board
from board import app
from conf.errors import command
from conf.settings import load


def parts() -> Iterator[app.Part]:
    """Those of each module here that has a `part`, which takes how settings are loaded."""
    for found in pkgutil.iter_modules(board.__path__, f"{board.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "part"):
            yield module.part(load)


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
