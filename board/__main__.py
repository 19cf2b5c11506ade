"""`python -m board`: serve where BOARD_URL says."""

import logging
import sys
from urllib.parse import urlsplit

import uvicorn

from board import app, forecast
from conf.errors import command
from conf.settings import load


@command
def main() -> int:
    """Serve until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load()
    address = urlsplit(settings.board.url)
    # Settings are read at each look: the stack's addresses may come after this service.
    forecasts = forecast.part(forecast.Known(), lambda known: known.refresh(load()), settings.board.refresh_seconds)
    uvicorn.run(app.create(forecasts), host=address.hostname or "localhost", port=address.port or 80, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
