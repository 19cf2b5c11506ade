"""What tests of the whole events job share: a clean slate, versions of events, and every table recomputed from them.

What a version says is taken from the simulator's world, and what comes of it from docs/streams/events.md. The job's own
rules tell only what has to be looked up: they have tests of their own.

`python -m tests.events DAY FILE` pulls as the poller does at the end of a day, with its state in that file.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from kafka import KafkaProducer

from apis.client import SystemClock
from conf.airports import airports
from conf.settings import Settings, load
from conf.streams import EVENTS
from generators.brokers import client
from generators.pollers.events.poller import Poller
from generators.pollers.report import Report
from generators.pollers.state import State
from generators.simulator.events import duffel, nearby
from generators.simulator.events.world import Version, World, rendered
from jobs.rules.events.changes import UpdateType
from jobs.rules.events.event import parse
from jobs.rules.events.lookups import Nearest, Trip, needed
from sinks import elasticsearch, kafka, postgres
from tests import slate

JOB = EVENTS.name
(TOPIC,) = EVENTS.topics
# The Python operators that set timers or have windows.
TIMERS = {
    *("events.changes", "events.places", "events.flights"),
    *("events.nearby_places.expiry", "events.flight_offers.expiry"),
}
TABLES = (
    *("events", "event_changes", "event_spend", "naive_calls", "nearby_places", "flight_offers", "calls_made"),
    *("api_answers", "api_quotas", "api_refusals"),
)
# So that a test asks some thousand questions and not some ten thousand, as fast as a machine may.
FEW_FLIGHTS = {"OUT_BEFORE": 0, "OUT_AFTER": 0, "BACK_AFTER": 0, "MOST_DAYS": 1}
FAST = {"RATE_PER_SECOND": 300, "CONCURRENCY": 16, "DAILY_QUOTA": 10_000_000, "PUT_OFF_SECONDS": 2}
QUICK = {
    **{f"CITYSTREAM__EVENTS__TRIP__{name}": str(value) for name, value in FEW_FLIGHTS.items()},
    **{
        f"CITYSTREAM__EVENTS__{kind}__{name}": str(value)
        for name, value in FAST.items()
        for kind in ("PLACES", "FLIGHTS")
    },
}
# Of tests.pollers.Simulation: no limits.
UNLIMITED = {
    "rate_per_second": 0,
    "daily_quota": 10_000_000,
    "events__places_per_minute": 0,
    "events__flights_per_minute": 0,
    "events__days_ahead": 2_000,
}
# Of each field that the job compares: its name in the record, where that differs.
COMPARED = {"attendance": "phq_attendance", "spend": "predicted_event_spend"}
LAST_HOUR = time(23)
Fields = dict[str, Any]


class Sent(NamedTuple):
    """A record to produce; `at` is its timestamp in ms."""

    value: bytes | None
    key: bytes | None
    at: int | None = None


def record(fields: Mapping[str, Any], at: datetime | None = None) -> Sent:
    """A version as the poller sends it."""
    value = json.dumps(fields, ensure_ascii=False).encode()
    return Sent(value, str(fields["id"]).encode(), None if at is None else milliseconds(at))


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return round(moment.timestamp() * 1000)


def send(settings: Settings, records: Iterable[Sent]) -> None:
    """Produce these, those of a key in their order."""
    with contextlib.closing(
        KafkaProducer(
            bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all", linger_ms=5, batch_size=2**17
        )
    ) as producer:
        sent = [producer.send(TOPIC, each.value, each.key, timestamp_ms=each.at) for each in records]
        for future in sent:
            future.get(60)


def days_of(world: World, *, days: int, categories: Iterable[str] | None = None) -> Iterator[tuple[datetime, Version]]:
    """What a pull at the end of each day brings: the versions that were updated on it; before the first day, all."""
    known: dict[int, datetime] = {}
    wanted = set(categories) if categories is not None else None
    for number in range(days):
        pulled = datetime.combine(world.first_day, datetime.max.time(), UTC) + timedelta(days=number)
        for version in world.at(pulled):
            event = version.event
            if (wanted is None or event.category in wanted) and known.get(event.number) != version.updated:
                known[event.number] = version.updated
                yield pulled, version


# ----- what must come of it


class Expected(NamedTuple):
    """Rows of the tables.

    Attributes:
        latest: of each event: title, category, country, state, rank, attendance, spend, start, end, last update.
        changes: of each event and update: its kind, and the fields that changed with old and new value.
        spend: of each day, country and category: events, spend and attendance.
    """

    latest: dict[str, tuple[Any, ...]]
    changes: dict[tuple[str, datetime], tuple[int, Fields]]
    spend: dict[tuple[str, str, str], tuple[int, int, int]]


def expected(versions: Iterable[Version]) -> Expected:
    """What the tables must hold after these versions, those of an event in their order."""
    latest: dict[str, Version] = {}
    changes: dict[tuple[str, datetime], tuple[int, Fields]] = {}
    for version in versions:
        key = version.event.event_id
        known = latest.get(key)
        if known is not None and version.updated <= known.updated:
            continue
        before, after = fields_of(known), fields_of(version)
        changed = {
            name: {"old": before.get(name), "new": after.get(name)}
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)
        }
        if changed:
            changes[key, version.updated] = (kind(known, version), changed)
        latest[key] = version
    sums: dict[tuple[str, str, str], Counter[str]] = {}
    for version in latest.values():
        if version.state == "active":
            fields = fields_of(version)
            of_day = sums.setdefault((fields["start_day"], fields["country"], fields["category"]), Counter())
            of_day.update(events=1, spend=version.spend or 0, attendance=version.attendance or 0)
    return Expected(
        {key: row_of(version) for key, version in latest.items()},
        changes,
        {key: (found["events"], found["spend"], found["attendance"]) for key, found in sums.items()},
    )


def kind(known: Version | None, seen: Version) -> int:
    """The update_type: 1 changed, 2 moved, 3 new, 4 deleted."""
    if seen.state == "deleted":
        return 1 if known is not None and known.state == "deleted" else 4
    if known is None or known.state == "deleted":
        return 3
    before, after = fields_of(known), fields_of(seen)
    place = [round(each[name], 4) for each in (before, after) for name in ("lat", "lon")]
    moved = place[:2] != place[2:] or any(before[name] != after[name] for name in ("start_day", "end_day"))
    return 2 if moved else 1


def fields_of(version: Version | None) -> Fields:
    """What is compared of a version, without what it does not tell."""
    if version is None:
        return {}
    raw = rendered(version)
    zone = ZoneInfo(raw["timezone"] or "UTC")
    lat, lon = position(raw["geo"]["geometry"])
    found = {
        **{name: raw.get(name) for name in ("state", "title", "category", "country", "scope", "timezone", "rank")},
        "deleted_reason": raw.get("deleted_reason"),
        "local_rank": raw["local_rank"],
        "lat": lat,
        "lon": lon,
        "start_at": milliseconds(version.start),
        "end_at": milliseconds(version.end),
        "start_day": version.start.astimezone(zone).date().isoformat(),
        "end_day": version.end.astimezone(zone).date().isoformat(),
        **{name: raw[theirs] for name, theirs in COMPARED.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def position(geometry: Fields) -> tuple[float, float]:
    """The middle of the simulator's geometries, whose areas are squares."""
    match geometry["type"], geometry["coordinates"]:
        case "Point", point:
            points = [point]
        case "MultiPoint", several:
            points = several
        case _, (ring,):
            points = ring[:-1]
    lon, lat = (sum(each[axis] for each in points) / len(points) for axis in (0, 1))
    return lat, lon


def row_of(version: Version) -> tuple[Any, ...]:
    """A row of `events`, without what is computed."""
    event = version.event
    fields = fields_of(version)
    return (
        *(fields.get(name) for name in ("title", "category", "country", "state", "rank", "attendance", "spend")),
        version.start,
        version.end,
        fields["start_day"],
        version.updated,
        event.event_id,
    )


LATEST = (
    "SELECT title, category, country, state, rank, attendance, spend, start_at, end_at, start_day::text, updated, "
    "event_id FROM events"
)


def differences(settings: Settings, must: Expected) -> list[str]:
    """How tables and documents differ from what must be in them; nothing: they don't."""
    found = []
    latest = {row[-1]: _in_utc(row) for row in query(settings, LATEST)}
    found += _differing("events", latest, must.latest)
    changes = {
        (event_id, updated.astimezone(UTC)): (kind_, changed)
        for event_id, updated, kind_, changed in query(
            settings, "SELECT event_id, updated, update_type, changed FROM event_changes"
        )
    }
    found += _differing("event_changes", changes, roughly(must.changes))
    spend = {
        (day, country, category): tuple(sums)
        for day, country, category, *sums in query(
            settings, "SELECT day::text, country, category, events, spend, attendance FROM event_spend"
        )
        if any(sums)
    }
    found += _differing("event_spend", spend, must.spend)
    recomputed = {
        (day, country, category): tuple(sums)
        for day, country, category, *sums in query(
            settings,
            "SELECT start_day::text, country, category, count(*), coalesce(sum(spend), 0)::bigint, "
            "coalesce(sum(attendance), 0)::bigint FROM events "
            "WHERE state <> 'deleted' AND start_day IS NOT NULL AND country IS NOT NULL AND category IS NOT NULL "
            "GROUP BY 1, 2, 3",
        )
    }
    found += _differing("event_spend, from events,", spend, recomputed)
    with elasticsearch.client(settings) as documents_:
        documents_.indices.refresh(index=JOB, ignore_unavailable=True)
        count = documents_.count(index=JOB, ignore_unavailable=True)["count"]
    if count != len(must.latest):
        found.append(f"{count} documents, not {len(must.latest)}")
    return found


def _differing(table: str, found: Mapping[Any, Any], must: Mapping[Any, Any]) -> list[str]:
    wrong = [key for key in found.keys() | must.keys() if found.get(key) != must.get(key)]
    shown = [f"{key}: {found.get(key)}, not {must.get(key)}" for key in wrong[:2]]
    return [f"{len(wrong)} rows of {table} are wrong: {'; '.join(shown)}"] if wrong else []


def _in_utc(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each.astimezone(UTC) if isinstance(each, datetime) else each for each in row)


def roughly(changes: Mapping[Any, tuple[int, Fields]]) -> Mapping[Any, Any]:
    """The same, equal to what differs by a few km in a position: the middle of an area is not computed alike."""

    def rough(value: Any) -> Any:
        return pytest.approx(value, abs=0.05) if isinstance(value, float) else value

    return {
        key: (kind_, {name: {side: rough(value) for side, value in both.items()} for name, both in fields.items()})
        for key, (kind_, fields) in changes.items()
    }


def await_agreement(settings: Settings, must: Expected, seconds: float) -> float:
    """Wait until every table is as it must be; return how many seconds it took."""
    found: list[str] = ["never compared"]

    def agree() -> bool:
        found[:] = differences(settings, must)
        return not found

    try:
        return slate.await_that(agree, seconds, "every table is as it must be")
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *found])) from None


# ----- what is looked up


class Questions(NamedTuple):
    """Each once: places as the table names them, and flights as origin, destination and day."""

    places: set[str]
    flights: set[tuple[str, str, str]]


def questions(settings: Settings, pulled: Iterable[tuple[datetime, Version]]) -> Questions:
    """What has to be asked for versions that are new or have moved, at the day on which each was pulled."""
    trip, nearest = Trip(**settings.events.trip.model_dump()), Nearest(airports())
    found = Questions(set(), set())
    latest: dict[str, Version] = {}
    for at, version in pulled:
        key = version.event.event_id
        of_change = kind(latest.get(key), version)
        latest[key] = version
        fields = rendered(version)
        event = parse(key, json.dumps(fields).encode(), 0)
        asked = needed(UpdateType(of_change), event, nearest, trip, at.date())
        if asked.place:
            found.places.add(f"{asked.place[0]:.4f},{asked.place[1]:.4f}")
        found.flights.update(map(tuple, asked.flights))
    return found


def unanswered(settings: Settings, must: Questions) -> list[str]:
    """How the tables of what was looked up differ from what the simulator tells."""
    found = []
    seed = settings.simulator.seed
    near = {
        (place, kind_, lat, lon)
        for place, kind_, lat, lon in query(settings, "SELECT place, kind, lat, lon FROM nearby_places")
    }
    spots = {
        (place, spot.kind, spot.lat, spot.lon)
        for place in must.places
        for kinds, km in ((("restaurant", "cafe"), 3), (("hotel",), 5))
        for spot in nearby.near(seed, tuple(map(float, place.split(","))), km, kinds)
    }
    if near != spots:
        found.append(f"{len(near ^ spots)} of {len(spots)} nearby places differ")
    # Within the hours around midnight a day may be over for some and not for others.
    soon = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    fares = {
        (origin, destination, day, flight): amount
        for origin, destination, day, flight, amount in query(
            settings, "SELECT origin, destination, day::text, flight, amount FROM flight_offers"
        )
        if day >= soon
    }
    offered: dict[tuple[str, str, str, str], Decimal] = {}
    for question in must.flights:
        for offer in duffel.offers(seed, *question[:2], date.fromisoformat(question[2])) if question[2] >= soon else ():
            (segment,) = offer["slices"][0]["segments"]
            number = segment["marketing_carrier"]["iata_code"] + segment["marketing_carrier_flight_number"]
            fare = Decimal(offer["total_amount"])
            # Two may have one number: the lower fare counts.
            offered[(*question, number)] = min(fare, offered.get((*question, number), fare))
    if fares != offered:
        found.append(f"{len(fares.items() ^ offered.items())} of {len(offered)} flights differ")
    return found


# ----- the poller


class SimulatedClock(SystemClock):
    """The last hour of a day, from then on as fast as any."""

    def __init__(self, day: date) -> None:
        self._ahead = datetime.combine(day, LAST_HOUR, UTC) - datetime.now(UTC)

    def now(self) -> datetime:
        """The time."""
        return super().now() + self._ahead


def pull(day: date, state_file: Path) -> None:
    """What the poller does at the end of a day."""
    settings, state = load(), State(state_file)

    async def run() -> None:
        with client(settings.kafka.bootstrap_servers) as producer:
            poller = Poller(settings, state, producer, SimulatedClock(day), Report(), waits=False)
            assert await poller.watch(once=True)

    try:
        asyncio.run(run())
    finally:
        state.close()


# ----- the job


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    """Rows of PostgreSQL."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def dead_letters(settings: Settings) -> list[Fields]:
    """Every dead letter, once."""
    return slate.by_key(settings, kafka.dead_letter_topic(TOPIC))


def clean_slate(settings: Settings) -> None:
    """No job, empty topics, tables and index."""
    slate.without_job(settings, JOB)
    slate.with_empty_topics(settings, [TOPIC])
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM staging.epochs WHERE ledger LIKE 'events.%'")
        cursor.execute("DELETE FROM staging.writers WHERE ledger LIKE 'events.%'")
        cursor.execute("TRUNCATE " + ", ".join(TABLES))
    with elasticsearch.client(settings) as documents_:
        documents_.options(ignore_status=404).indices.delete(index=JOB)


@contextlib.contextmanager
def running(settings: Settings, *, parallelism: int | None = None) -> Iterator[str]:
    """The job from a clean slate; cancelled at the end."""
    clean_slate(settings)
    with slate.running(settings, JOB, parallelism=parallelism) as job:
        yield job


def settings() -> Settings:
    """The suite's settings, with the addresses of the servers that are up now."""
    return load()


# ----- what Kibana shows


def documents(now: datetime) -> dict[str, list[Fields]]:
    """What the job writes to Elasticsearch, by index: events of the next weeks, some of them in Daegu."""
    world = World(seed=5, count=400, first_day=now.date() - timedelta(days=60))
    found = []
    for version in world.at(now):
        fields = fields_of(version)
        found.append(
            {
                "event_id": version.event.event_id,
                **{
                    name: fields.get(name)
                    for name in (
                        *("title", "category", "country", "scope", "timezone", "start_day", "end_day", "rank"),
                        *("local_rank", "attendance", "spend", "state", "deleted_reason"),
                    )
                },
                "position": [fields["lon"], fields["lat"]],
                "airport": "TAE" if version.event.city.name == "Daegu" else None,
                "takes_place_at": None if version.state == "deleted" else version.start.isoformat(),
                "start_at": version.start.isoformat(),
                "end_at": version.end.isoformat(),
                "update_type": 4 if version.state == "deleted" else 3,
                "updated": version.updated.isoformat(),
                "flaws": None,
            }
        )
    return {JOB: found}


if __name__ == "__main__":
    pull(date.fromisoformat(sys.argv[1]), Path(sys.argv[2]))
