"""`python -m bench.coordinates`: how fast rows of files get their position and region, and then their addresses.

Acts on the chosen stack, which should do nothing else, and empties what coordinates have there. Rows take from the
first that is sent to the last that is in the table; all positions differ, and addresses are looked up beside.
"""

import json
import sys
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from bench.whole import MILLION, Measured, start_anew, whole_job
from conf.errors import Parser, command
from conf.settings import Settings, serving
from conf.streams import COORDINATES
from generators.brokers import client
from generators.coordinates.cells import of_text
from generators.coordinates.checking import Point
from generators.coordinates.sending import record
from generators.producing import SLICE_SECONDS, Publisher, quiet
from geo.systems import system
from jobs.rules.coordinates import convert
from sinks import postgres

(TOPIC,) = COORDINATES.topics
CRS = "EPSG:5174"
FILE_ROWS = 30_000
ADDRESS_SECONDS = 60
WEST, EAST, SOUTH, NORTH = 128.55, 128.65, 35.83, 35.89  # in Daegu
console = Console(highlight=False, soft_wrap=True)


def rows(count: int, seed: int) -> Iterator[Point]:
    """Points of a file, of ten sheets."""
    draw = np.random.default_rng(seed)
    x, y = system(CRS).from_wgs84(draw.uniform(WEST, EAST, count), draw.uniform(SOUTH, NORTH, count))
    for number, (east, north) in enumerate(zip(x.tolist(), y.tolist(), strict=True), 1):
        cells = [f"{number:07}", f"구{number % 10}", f"{east:.4f}", f"{north:.4f}"]
        yield Point(number, cells[1], cells[2], cells[3], list(map(of_text, cells)), None)


def alone(count: int) -> Measured:
    """What the job computes per row in Python, a thousand rows at a time, in seconds of one processor."""
    said = [(json.dumps(point.x), json.dumps(point.y)) for point in rows(count, seed=4)]
    convert(["1"], ["1"], [CRS], [None])
    began = time.process_time()
    for start in range(0, count, 1_000):
        x, y = zip(*said[start : start + 1_000], strict=True)
        convert(x, y, [CRS] * len(x), [None] * len(x))
    return Measured("conversion and region alone, on one processor", count, time.process_time() - began)


def converted(settings: Settings, label: str, count: int, seed: int) -> Measured:
    """A file of so many rows, until each has its position and region."""
    batch_id, began = f"bench-{seed}", time.monotonic()
    with client(settings.kafka.bootstrap_servers) as producer:
        publisher = Publisher(producer, TOPIC)
        for point in rows(count, seed):
            while publisher.is_full:
                publisher.collect()
                time.sleep(SLICE_SECONDS)
            publisher.send(record(point, batch_id, CRS))
        publisher.finish(60)
    sent = time.monotonic() - began
    while _count(settings, "batch_id = %s", batch_id) < count:
        time.sleep(0.2)
    return Measured(label, count, time.monotonic() - began, [f"sent within {sent:.1f} s"])


def addressed(settings: Settings, seconds: float) -> Measured:
    """How many rows get their address in that time, while more of them wait."""
    done = "status = 'done' AND address IS NOT NULL"
    before, began = _count(settings, done), time.monotonic()
    time.sleep(seconds)
    count = _count(settings, done) - before
    took = time.monotonic() - began
    allowed = settings.coordinates.addresses.rate_per_second
    return Measured("addresses", count, took, [f"{count / took / allowed:.0%} of the {allowed:g}/s that are allowed"])


def measure(million: int) -> Iterator[Measured]:
    """A file to get warm, a second one, addresses, and a large one."""
    yield alone(million or FILE_ROWS)
    start_anew(serving("kafka", "postgres"), [TOPIC], ["coordinate_results", "address_cache", "api_quotas"])
    with whole_job(COORDINATES) as (settings, _):
        yield converted(settings, "30,000 rows, the first of a fresh job", FILE_ROWS, 1)
        yield converted(settings, "30,000 rows, once warm", FILE_ROWS, 2)
        yield addressed(settings, ADDRESS_SECONDS)
        if million:
            yield converted(settings, f"{million:,} rows", million, 3)


def _count(settings: Settings, where: str, *parameters: object) -> int:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM coordinate_results WHERE {where}", parameters)  # noqa: S608 - ours
        return int((cursor.fetchone() or (0,))[0])


@command
def main() -> int:
    """The command line."""
    parser = Parser(prog="python -m bench.coordinates", description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION, help="of the large file (1,000,000); 0: none")
    options = parser.parse_args()
    quiet()
    for result in measure(options.rows):
        console.print(
            f"{result.name}: {result.records:,} in {result.seconds:.1f} s, {result.rate:,.0f}/s", *result.notes
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
