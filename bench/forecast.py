"""`python -m bench.forecast`: how fast the running service answers over loopback, warm."""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
from rich.console import Console

from conf.city.places import districts
from conf.errors import Parser, command
from conf.settings import SettingsError, load

WIDTHS = (1, 4)
WARM_UP = 50
INITIALS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"


async def questions(client: httpx.AsyncClient, dice: random.Random) -> dict[str, Callable[[], str]]:
    """By kind what makes one of many questions, about all districts and the complexes that a search finds."""
    regions, complexes, names = [district.code for district in districts()], [], []
    for initial in INITIALS:
        answer = await client.get("/complexes", params={"q": initial, "limit": 100})
        if not answer.is_success:
            message = f"The service can't be asked: {answer.json()['detail']}"
            raise LookupError(message)
        found = answer.json()["complexes"]
        complexes += [each["complex_id"] for each in found]
        names += [each["name"] for each in found]
    subjects = [f"region={code}" for code in regions] + [f"complex={own}" for own in complexes]
    return {
        "/forecast": lambda: f"/forecast?{dice.choice(subjects)}&days={dice.randint(1, 14)}",
        "/complexes?q=": lambda: f"/complexes?q={quote(dice.choice(names)[: dice.randint(1, 4)])}",
        "/complexes/ID": lambda: f"/complexes/{dice.choice(complexes)}",
        "/regions/CODE": lambda: f"/regions/{dice.choice(regions)}",
    }


async def answer_times(url: str, count: int, width: int) -> dict[str, list[float]]:
    """By kind of question the seconds per answer, sorted; `width` clients ask at the same time."""
    dice, found = random.Random(width), {}  # noqa: S311 - the same questions every time
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for kind, question in (await questions(client, dice)).items():
            left = iter([question() for _ in range(WARM_UP + count)])
            times: list[float] = []
            await asyncio.gather(*(_ask(client, left, times) for _ in range(width)))
            found[kind] = sorted(times[WARM_UP:])
    return found


async def _ask(client: httpx.AsyncClient, left: Iterator[str], times: list[float]) -> None:
    for question in left:
        begun = time.perf_counter()
        (await client.get(question)).raise_for_status()
        times.append(time.perf_counter() - begun)


@command
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="how many, per kind and number of clients (3000)")
    options = parser.parse_args(arguments)
    try:
        url = load().board.url
        for width in WIDTHS:
            for kind, times in asyncio.run(answer_times(url, options.requests, width)).items():
                p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
                Console().print(f"{kind}: {len(times)} requests, {width} at once: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    except (SettingsError, LookupError, httpx.HTTPError) as error:
        print(f"{error} (`make up` starts the service, `make train` makes its model)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
