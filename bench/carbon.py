"""`python -m bench.carbon`: the carbon job with as many complexes as all of Korea has, from its backfill on.

Acts on the chosen stack, which should do nothing else, and empties what carbon has there. Records are what the poller
sends of the simulator's complexes, but energy by lot, and lie in their topics before the job begins. A table is right
when it holds as many rows as it is to, at the versions that come of all that was sent (docs/decisions/0011).
"""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console

from apis import calendar, data_go_kr
from bench.forecast import answer_times, shown
from bench.whole import Measured, start_anew, whole_job
from conf.errors import Parser, command
from conf.settings import Settings, load, serving
from conf.streams import CARBON
from control.cluster import Cluster
from generators.brokers import client
from generators.pollers.carbon import messages, plan
from generators.pollers.carbon.messages import COMPLEXES, ENERGY, WEATHER
from generators.pollers.carbon.plan import Calls, Period
from generators.pollers.outbox import MOST_UNACKNOWLEDGED, produce
from generators.pollers.state import Message
from generators.producing import quiet
from generators.simulator import envelopes
from generators.simulator.carbon import services
from generators.simulator.carbon.services import World
from jobs.carbon import KEYS
from jobs.rules.carbon.complexes import station_of
from jobs.rules.carbon.estimates import REFERENCES
from sinks import postgres
from stack.lifecycle import LocalStack

FEWEST, MOST = 300, 30_000  # as `simulator.complexes` may be
# The world is some days behind, so that there are days to come whose weather is known.
BEHIND = timedelta(days=3)
ACKNOWLEDGED_SECONDS = 60
SAY_SECONDS = 60
API_CALLS, API_MILLISECONDS = 1_000, 50
console = Console(highlight=False, soft_wrap=True)
# A complex and a month, by their places.
Month = tuple[int, int]


class Wanted(NamedTuple):
    """How many rows a table is to have, and the sum of their versions; of these complexes, or None: of all."""

    rows: int
    versions: int
    complexes: list[str] | None = None


class Country:
    """Makes the poller's messages, and knows what the tables hold once the job has applied them.

    Args:
        settings: of the simulator, the poller and the job.
        complexes: how many.
        months: how many that are over.
        now: when the backfill is made, as the simulator is to believe.
    """

    def __init__(self, settings: Settings, complexes: int, months: int, now: datetime) -> None:
        self._period, self._now = Period.back(months, now), now
        self._watch = settings.pollers.watch
        chosen = {"complexes": complexes, "first_month": self._period.first}
        self._world = World.of(settings.simulator.model_copy(update=chosen))
        self._calls = Calls.of(settings.pollers.operations, data_go_kr.api(settings), None)
        self._months = sorted(self._period.months)
        near = station_of(settings.carbon.station, settings.carbon.stations)
        stations = [near(place.region) for place in self._world.places]
        self._stations, self._station = np.unique(stations, return_inverse=True)
        self._regions, self._region = np.unique([place.region for place in self._world.places], return_inverse=True)
        self._weather: dict[str, dict[date, int]] = defaultdict(dict)
        self._described = np.zeros(complexes, dtype=np.int64)
        self._fetched = np.zeros((complexes, months), dtype=np.int64)
        # Whether a month had a quantity that the job reads, and whether it is one that the poller asks for no more.
        self._entered = np.zeros((complexes, months), dtype=bool)
        self._valued = np.zeros((complexes, months), dtype=bool)

    def backfill(self) -> Iterator[Message]:
        """All that the poller's backfill sends, energy newest month first."""
        today = calendar.day_of(self._now)
        for at in range(len(self._world.places)):
            yield self._complex(at)
        yield from self._measured(self._period.first, calendar.newest_weather(self._now))
        for number in reversed(range(len(self._months))):
            for at in range(len(self._world.places)):
                yield self._used((at, number), today)

    def news(self, days: int) -> list[Month]:
        """The months that offices enter so many days after the backfill: each enters one in some thirty days."""
        today = calendar.day_of(self._now) + timedelta(days=days)
        return [
            (at, number)
            for at, place in enumerate(self._world.places)
            for number, month in enumerate(self._months)
            if self._world.entered_on(place, month) == today
        ]

    def round(self, days: int) -> list[Month]:
        """The months that the poller's whole round asks for on such a day.

        Of each complex those from the newest back to one that was entered, and for a part of the complexes their newest
        ones again, so that in `correction_days` all of them are.
        """
        now, watch = self._now + timedelta(days=days), self._watch
        numbers = {month: number for number, month in enumerate(self._months)}
        back = [numbers[month] for month in plan.walk_back(now, watch) if month in numbers]
        wanted: dict[Month, None] = {}
        for at, place in enumerate(self._world.places):
            for number in back:
                if self._valued[at, number]:
                    break
                wanted[at, number] = None
                if any(self._world.usage(place, self._months[number], calendar.day_of(now))):
                    break
            if at % watch.correction_days == 0:
                wanted |= dict.fromkeys((at, number) for number in back[: watch.correction_months])
        return list(wanted)

    def asked(self, months: Iterable[Month], days: int) -> Iterator[Message]:
        """What comes of asking for months so many days after the backfill."""
        today = calendar.day_of(self._now) + timedelta(days=days)
        return (self._used(month, today) for month in months)

    def recent_weather(self, days: int) -> Iterator[Message]:
        """The days of weather that the poller asks for on such a day."""
        last = calendar.newest_weather(self._now + timedelta(days=days))
        return self._measured(last - timedelta(days=self._watch.weather_days - 1), last)

    def concerned(self, months: Iterable[Month], days: int) -> set[int] | None:
        """Whose rows months, and the weather of such a day, have changed, by their places; None: those of all."""
        first = calendar.newest_weather(self._now + timedelta(days=days)) - timedelta(days=self._watch.weather_days - 1)
        return None if calendar.month_of(first) in self._months else {at for at, _ in months}

    def expected(self, of: Collection[int] | None = None) -> dict[str, Wanted]:
        """What each table of emission is to hold, those first that are looked at fastest.

        Args:
            of: which complexes are looked at in the tables of complexes, by their places; None: all.
        """
        days = np.array([calendar.last_day(month).day for month in self._months])
        learnt = np.array([[self._learnt(station, month) for month in self._months] for station in self._stations])
        of_station = learnt[self._station]
        facts, version, there = self._fetched + of_station, np.zeros_like(self._fetched), np.zeros_like(self._entered)
        # A row of a month tells of the months that an estimate would be made of, too.
        for step in (0, *REFERENCES):
            version += _moved(facts, step)
            there |= _moved(self._entered, step)
        version = np.where(there, version + self._described[:, None], 0)
        in_region = np.zeros((len(self._regions), len(self._months)), dtype=bool)
        np.logical_or.at(in_region, self._region, there)
        near = np.zeros(len(self._regions), dtype=np.int64)
        near[self._region] = self._station
        of_days = (version + np.where(there, of_station, 0)) * days
        in_days = _sum(version * days) + _sum(np.where(in_region, learnt[near], 0) * days)
        some = slice(None) if of is None else sorted(of)
        names = None if of is None else [self._world.places[at].complex_id for at in sorted(of)]
        return {
            "emission_per_region_month": Wanted(int(in_region.sum()), _sum(version)),
            "emission_per_region_day": Wanted(int((in_region * days).sum()), in_days),
            "emission_per_complex_month": Wanted(int(there[some].sum()), _sum(version[some]), names),
            "emission_per_complex_day": Wanted(int((there * days)[some].sum()), _sum(of_days[some]), names),
        }

    def _complex(self, at: int) -> Message:
        place = self._world.places[at]
        basis, fetched = services.basis_item(self._world, place), _now_ms()
        found = services.geocoded(self._world, messages.address(dict(basis)))
        position = (float(str(found[0]["y"])), float(str(found[0]["x"]))) if found else None
        value = messages.complex_value(dict(basis), position, fetched)
        self._described[at] = fetched
        return Message(COMPLEXES, place.complex_id, value, str(self._calls.basis_of(place.complex_id).url), fetched)

    def _used(self, month: Month, today: date) -> Message:
        place, of = self._world.places[month[0]], self._months[month[1]]
        usage, fetched = self._world.usage(place, of, today), _now_ms()
        call = self._calls.month(place.complex_id, of)
        body = envelopes.single(services.energy_item(place.complex_id, of, usage), as_json=False)
        self._fetched[month] = fetched
        self._entered[month] |= any(usage._replace(hot_water_tons=0))
        self._valued[month] = any(usage)
        return Message(ENERGY, call.subject, body, str(call.url), fetched)

    def _measured(self, first: date, last: date) -> Iterator[Message]:
        for station in map(str, self._stations):
            for begin, end in calendar.ranges(calendar.days(first, last), plan.LONGEST_WEATHER_DAYS):
                url = str(self._calls.days(station, begin, end).url)
                for day in self._world.weather(begin, end):
                    item, fetched = {**services.weather_item(day), "stnId": station}, _now_ms()
                    self._weather[station][day.day] = fetched
                    key = messages.weather_key(station, day.day)
                    yield Message(WEATHER, key, messages.weather_value(item), url, fetched)

    def _learnt(self, station: str, month: date) -> int:
        """The sum of the fetch times of a month's weather."""
        known = self._weather[station]
        return sum(known.get(day, 0) for day in calendar.days(month, calendar.last_day(month)))


def _moved(of_months: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """At each month's place what stands so many months later; 0 where nothing does."""
    moved = np.zeros_like(of_months)
    if abs(step) < of_months.shape[1]:
        to, from_ = (slice(0, -step), slice(step, None)) if step > 0 else (slice(-step, None), slice(0, step or None))
        moved[:, to] = of_months[:, from_]
    return moved


def _sum(of_months: NDArray[np.int64]) -> int:
    """The sum of all, which no 64 bits would hold."""
    return sum(map(int, of_months.sum(axis=1)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def send(settings: Settings, sent: Iterable[Message]) -> int:
    """Send messages as the poller does, and return how many, once all are acknowledged."""
    count, pending = 0, deque[object]()
    with client(settings.kafka.bootstrap_servers) as producer:
        for message in sent:
            pending.append(produce(producer, message))
            count += 1
            if len(pending) >= MOST_UNACKNOWLEDGED:
                pending.popleft().get(ACKNOWLEDGED_SECONDS)  # type: ignore[attr-defined]
        producer.flush(ACKNOWLEDGED_SECONDS)
        for future in pending:
            future.get(ACKNOWLEDGED_SECONDS)  # type: ignore[attr-defined]
    return count


def right_at(settings: Settings, wanted: dict[str, Wanted], every: float) -> float:
    """Wait until the tables are right, looking every so many seconds; return when they were, in Unix seconds.

    Says each minute how far they are.

    Raises:
        RuntimeError: the job ended.
    """
    cluster, asked = Cluster(settings.flink.url), 0.0
    said = time.monotonic()
    with contextlib.closing(postgres.lasting(settings)) as connection, connection.cursor() as cursor:
        for table, (rows, versions, names) in wanted.items():
            where = "" if names is None else " WHERE complex_id = ANY (%s)"
            query = f"SELECT count(*), coalesce(sum(version), 0)::text FROM {table}{where}"  # noqa: S608 - ours
            while True:
                asked = time.time()
                cursor.execute(query, (names,) if where else None)
                count, summed = cursor.fetchone() or (0, "0")
                if (count, int(summed)) == (rows, versions):
                    break
                if cluster.running(CARBON.name) is None:
                    msg = f"the job ended: {cluster.last_failure(cluster.newest(CARBON.name) or '')}"
                    raise RuntimeError(msg)
                if time.monotonic() - said > SAY_SECONDS:
                    said = time.monotonic()
                    console.print(f"{table}: {count:,} of {rows:,} rows")
                time.sleep(every)
    return asked


def measure(complexes: int, months: int) -> Iterator[Measured]:
    """The backfill, a loss, the new values of a day, and all that the poller sends on one."""
    settings = serving("kafka", "postgres", "flink")
    chosen = ("state_backend", "documents", "gather_seconds")
    console.print(f"carbon: {', '.join(f'{name} {getattr(settings.carbon, name)}' for name in chosen)}")
    country = Country(settings, complexes, months, datetime.now(UTC) - BEHIND)
    start_anew(settings, CARBON.topics, KEYS)
    began = time.time()
    records = send(settings, country.backfill())
    yield Measured("the records, made and sent", records, time.time() - began)
    with whole_job(CARBON) as (settings, started):
        ready = right_at(settings, country.expected(), every=2)
        yield Measured("the backfill", records, ready - started, [_rows(country)])
        cluster = Cluster(settings.flink.url)
        job = cluster.running(CARBON.name) or ""
        managers = LocalStack.of(settings.stack).supervisor.processes(cluster.task_managers(job))
        console.print(f"{_state(cluster, job, ready)}; {_resident(managers)}")

        probe = (0, months - 1)
        killed_at = time.time()
        managers[0].kill()
        send(settings, country.asked([probe], days=0))
        ready = right_at(settings, country.expected({0}), every=0.5)
        running = cluster.times(job)[0] - killed_at
        note = f"all tasks ran again after {running:.1f} s, a value sent at the kill was in all tables by the end"
        yield Measured("after the kill of a TaskManager", 1, ready - killed_at, [note])

        yield _applied(settings, country, "the months that are entered on a day", country.news(days=1), 1)
        yield _applied(settings, country, "all that the poller asks for on a day", country.round(days=2), 2)


def _applied(settings: Settings, country: Country, name: str, months: Sequence[Month], days: int) -> Measured:
    """These months and the weather of a day, from the first that is sent until all tables are right."""
    began = time.time()
    records = send(settings, (*country.recent_weather(days), *country.asked(months, days)))
    ready = right_at(settings, country.expected(country.concerned(months, days)), every=0.5)
    return Measured(name, records, ready - began, [f"{len(months):,} months of complexes, the rest is weather"])


def _rows(country: Country) -> str:
    return ", ".join(f"{wanted.rows:,} rows in {table}" for table, wanted in country.expected().items())


def _state(cluster: Cluster, job: str, since: float) -> str:
    """What a checkpoint takes that was begun since then."""
    while True:
        done = cluster.checkpoints(job)["latest"]["completed"]
        if done and done["trigger_timestamp"] / 1000 > since:
            return f"a checkpoint: {done['state_size'] / 2**20:,.1f} MiB in {done['end_to_end_duration'] / 1000:.1f} s"
        time.sleep(0.5)


def _resident(managers: Sequence[psutil.Process]) -> str:
    """The memory of the TaskManagers and of what runs below them."""
    workers = [child for manager in managers for child in manager.children(recursive=True)]
    held = [sum(each.memory_info().rss for each in some) / 2**30 for some in (managers, workers)]
    return f"resident: {len(managers)} TaskManagers {held[0]:.2f} GiB, their Python workers {held[1]:.2f} GiB"


def ask(url: str) -> bool:
    """Ask the service about what the tables hold; return whether each kind of answer came in time."""
    found = asyncio.run(answer_times(url, API_CALLS, 1, forecasts=False))
    for kind, times in found.items():
        console.print(f"{kind}: {shown(times)}")
    return all(times[int(len(times) * 0.99)] * 1000 < API_MILLISECONDS for times in found.values())


@command
def main() -> int:
    """The command line."""
    parser = Parser(prog="python -m bench.carbon", description=__doc__)
    parser.add_argument("--complexes", type=int, default=22_000, help=f"{FEWEST} to {MOST:,} (22,000, all of Korea)")
    parser.add_argument("--months", type=int, default=30, help="of energy use, at least 2 (30)")
    parser.add_argument("--api", action="store_true", help="instead, ask the running service about what is there now")
    options = parser.parse_args()
    if not (FEWEST <= options.complexes <= MOST and options.months >= 2):
        parser.error(f"--complexes is {FEWEST} to {MOST:,}, --months at least 2")
    if options.api:
        try:
            return 0 if ask(load().board.url) else 1
        except (LookupError, httpx.HTTPError) as error:
            print(f"{error} (`make up` starts the service)", file=sys.stderr)
            return 1
    quiet()
    for result in measure(options.complexes, options.months):
        console.print(
            f"{result.name}: {result.records:,} in {result.seconds:.1f} s, {result.rate:,.0f}/s;", *result.notes
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
