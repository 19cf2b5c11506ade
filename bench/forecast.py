"""`python -m bench.forecast`: how fast the running forecast service answers over loopback, warm."""

import asyncio
import random
import sys
import time

import httpx
from rich.console import Console

from conf.errors import Parser, command
from conf.settings import SettingsError, load

WIDTHS = (1, 4)
WARM_UP = 50


async def questions(client: httpx.AsyncClient) -> list[str]:
    """A query per region and complex that the service knows, as its own answers list them."""
    found = []
    for scope, unknown in (("region", "00000"), ("complex", "none")):
        answer = await client.get("/forecast", params={scope: unknown})
        if answer.status_code != httpx.codes.NOT_FOUND:
            message = f"The service has no forecasts: {answer.json()['detail']}"
            raise LookupError(message)
        found += [f"{scope}={own}" for own in answer.json()["detail"]["known"]]
    return found


async def answer_times(url: str, count: int, width: int) -> list[float]:
    """Seconds per answer, sorted; `width` clients ask at the same time."""
    dice = random.Random(width)  # noqa: S311 - the same questions every time
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        asked = await questions(client)
        left = iter([f"/forecast?{dice.choice(asked)}&days={dice.randint(1, 14)}" for _ in range(WARM_UP + count)])
        times: list[float] = []

        async def ask() -> None:
            for question in left:
                begun = time.perf_counter()
                (await client.get(question)).raise_for_status()
                times.append(time.perf_counter() - begun)

        await asyncio.gather(*(ask() for _ in range(width)))
    return sorted(times[WARM_UP:])


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="how many, per number of clients (3000)")
    options = parser.parse_args(arguments)
    try:
        url = load().board.url
        for width in WIDTHS:
            times = asyncio.run(answer_times(url, options.requests, width))
            p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
            Console().print(f"{len(times)} requests, {width} at once: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    except (SettingsError, LookupError, httpx.HTTPError) as error:
        print(f"{error} (`make up` starts the service, `make train` makes its model)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
