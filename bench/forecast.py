"""`python -m bench.forecast`: how fast the running service answers over loopback, warm."""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
from rich.console import Console

from board.search import initials
from conf.city.places import districts
from conf.errors import Parser, command
from conf.settings import SettingsError, load

WIDTHS = (1, 4)
WARM_UP = 50
INITIALS = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"


async def questions(
    client: httpx.AsyncClient, dice: random.Random, *, forecasts: bool = True
) -> dict[str, Callable[[], str]]:
    """By kind what makes one of many questions, about the complexes that a search finds and their districts."""
    found: list[dict[str, str]] = []
    for initial in INITIALS:
        answer = await client.get("/complexes", params={"q": initial, "limit": 100})
        if not answer.is_success:
            message = f"The service can't be asked: {answer.json()['detail']}"
            raise LookupError(message)
        found += answer.json()["complexes"]
    complexes, regions = ([each[name] for each in found] for name in ("complex_id", "region"))
    regions = sorted({district.code for district in districts()}.union(regions))
    subjects = [f"region={code}" for code in regions] + [f"complex={own}" for own in complexes]

    def searched(text: str) -> str:
        return f"/complexes?q={quote(text)}"

    def named() -> str:
        return dice.choice(found)["name"][: dice.randint(1, 4)]

    def addressed() -> str:
        """A district and a road, or a road and a number."""
        at = dice.choice((1, 2))
        return " ".join(dice.choice(found)["address"].split()[at : at + 2])

    made = {
        "/complexes?q=NAME": lambda: searched(named()),
        "/complexes?q=INITIALS": lambda: searched(initials(named())),
        "/complexes?q=ADDRESS": lambda: searched(addressed()),
        "/complexes/ID": lambda: f"/complexes/{dice.choice(complexes)}",
        "/regions/CODE": lambda: f"/regions/{dice.choice(regions)}",
    }
    if forecasts:
        made["/forecast"] = lambda: f"/forecast?{dice.choice(subjects)}&days={dice.randint(1, 14)}"
    return made


async def answer_times(url: str, count: int, width: int, *, forecasts: bool = True) -> dict[str, list[float]]:
    """By kind of question the seconds per answer, sorted; `width` clients ask at the same time.

    Args:
        url: the service's.
        count: how many questions of each kind.
        width: how many clients.
        forecasts: also ask for forecasts, which takes a model.
    """
    dice, found = random.Random(width), {}  # noqa: S311 - the same questions every time
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for kind, question in (await questions(client, dice, forecasts=forecasts)).items():
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


def shown(times: list[float]) -> str:
    """Sorted times as people read them."""
    p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    return f"{len(times):,} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms"


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
                Console().print(f"{kind}: {shown(times)}, {width} at once")
    except (SettingsError, LookupError, httpx.HTTPError) as error:
        print(f"{error} (`make up` starts the service, `make train` makes its model)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
