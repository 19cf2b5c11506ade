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
    address = urlsplit(load().board.url)
    uvicorn.run(app.create(*parts()), host=address.hostname or "localhost", port=address.port or 80, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
