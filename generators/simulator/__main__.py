"""Answer as the public APIs do, with synthetic data: `python -m generators.simulator --help`."""

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

import uvicorn

from conf.errors import Parser, command
from conf.settings import load
from generators.simulator import app


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it."""
    parser = Parser(
        prog="python -m generators.simulator",
        description="Answer as data.go.kr (K-apt, energy use, ASOS weather) and Kakao Local do. Data are synthetic.",
        epilog="Settings: section simulator of conf/citystream.yaml. http://HOST:PORT/simulator/docs lists all paths.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (now %(default)s)")
    parser.add_argument("--port", type=int, help="port to listen on; left out: that of simulator.url")
    options = parser.parse_args(arguments)
    settings = load()
    port = options.port or urlsplit(settings.simulator.url).port or 80
    served = app.create(settings.simulator, settings.time_zone)
    try:
        uvicorn.run(served, host=options.host, port=port, log_level="warning", access_log=False)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
