"""`python -m board`: serve where BOARD_URL says."""

import logging
import sys
from urllib.parse import urlsplit

import uvicorn

from board import app, coordinates, forecast, pages
from conf.errors import command
from conf.settings import load


@command
def main() -> int:
    """Serve until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # A server that is away is said on the page, not once a second in the log.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    settings = load()
    address = urlsplit(settings.board.url)
    # Settings are read at each look: the stack's addresses may come after this service.
    forecasts = forecast.part(forecast.Known(), lambda known: known.refresh(load()), settings.board.refresh_seconds)
    service = app.create(pages.part(load), forecasts, coordinates.part(load))
    host, port = address.hostname or "localhost", address.port or 80
    # Pages that look on live never go by themselves.
    uvicorn.run(service, host=host, port=port, access_log=False, timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
