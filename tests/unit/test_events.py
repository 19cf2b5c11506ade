"""The keyed operator of events without Flink: whatever comes again or late, tables and totals are the same."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.airports import airports
from generators.simulator.events.world import Version, World, rendered
from jobs.operators.events.changes import OF_EVENT, PerEvent
from jobs.rules.events.changes import UpdateType
from jobs.rules.events.event import Event, parse
from jobs.rules.events.lookups import FLIGHTS, PLACES, Trip, naive, needed
from jobs.rules.events.rows import name_of, spend
from tests import events
from tests.unit.test_events_rules import EVENT, NEAREST, TODAY, TRIP, read

WORLD = World(seed=3, count=150, first_day=date(2026, 11, 1))
VERSIONS = list(events.days_of(WORLD, days=30))
DAY_MS = 86_400_000


class Value:
    """A value state."""

    held: Any = None

    def value(self) -> Any:
        return self.held

    def update(self, value: Any) -> None:
        self.held = value

    def clear(self) -> None:
        self.held = None


class Count:
    """A counter."""

    value = 0

    def inc(self, by: int = 1) -> None:
        self.value += by


@dataclass
class Timers:
    """The timer service of one key."""

    now: int
    due: set[int] = field(default_factory=set)

    def current_processing_time(self) -> int:
        return self.now

    def register_processing_time_timer(self, at: int) -> None:
        self.due.add(at)


@dataclass
class Context:
    """What an operator is told besides the record."""

    timers: Timers

    def timer_service(self) -> Timers:
        return self.timers


@dataclass
class Job:
    """The operator, one per event, and what comes of it."""

    keep_days: float = 90
    trip: Trip = TRIP
    found: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    operators: dict[str, tuple[PerEvent, Context]] = field(default_factory=dict)

    def of(self, event_id: str) -> tuple[PerEvent, Context]:
        if event_id not in self.operators:
            operator = PerEvent(airports(), self.trip, 1, self.keep_days)
            operator._known, operator._unchanged, operator._over = Value(), Count(), Count()
            operator._nearest = NEAREST
            self.operators[event_id] = operator, Context(Timers(0))
        return self.operators[event_id]

    def take(self, event: Event, at: datetime | int) -> None:
        at = at if isinstance(at, int) else events.milliseconds(at)
        operator, context = self.of(event.event_id)
        context.timers.now = at
        for out in operator.process_element((tuple(event), at, 0), context):
            tag, given = out
            self.found[tag.tag_id].append(tuple(given))

    def pass_time(self, event_id: str, at: int) -> None:
        operator, context = self.of(event_id)
        for due in sorted(due for due in context.timers.due if due <= at):
            context.timers.due.discard(due)
            assert list(operator.on_timer(due, context)) == []

    def spend(self) -> dict[tuple[str, str, str], tuple[int, ...]]:
        sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for day, market, *added in self.found["spend"]:
            country, category = market.split("|")
            sums[day, country, category].update(dict(zip(("events", "spend", "attendance"), added, strict=True)))
        found = {key: (each["events"], each["spend"], each["attendance"]) for key, each in sums.items()}
        return {key: each for key, each in found.items() if any(each)}


def parsed(version: Version) -> Event:
    fields = rendered(version)
    return parse(fields["id"], json.dumps(fields).encode(), 0)


def test_the_tables_are_those_that_are_recomputed() -> None:
    job = Job()
    for pulled, version in VERSIONS:
        job.take(parsed(version), pulled)
    must = events.expected(version for _, version in VERSIONS)
    named = list(OF_EVENT["latest"]._fields)
    latest = {row[0]: dict(zip(named, row, strict=True)) for row in job.found["latest"]}
    assert latest.keys() == must.latest.keys()
    for event_id, row in must.latest.items():
        assert (latest[event_id]["title"], latest[event_id]["state"], latest[event_id]["rank"]) == (
            row[0],
            row[3],
            row[4],
        )
    changes = {
        (event_id, datetime.fromtimestamp(updated / 1000, UTC)): (kind, json.loads(changed))
        for event_id, updated, kind, changed, _ in job.found["changed"]
    }
    assert len(changes) == len(job.found["changed"])
    assert changes == events.roughly(must.changes)
    assert {kind for kind, _ in changes.values()} == {1, 2, 3, 4}
    assert job.spend() == must.spend


@settings(max_examples=25)
@given(st.data())
def test_repeats_and_older_versions_change_nothing(data: st.DataObject) -> None:
    """What was sent before comes again anywhere behind it: nothing is given twice, and totals are the same."""
    once, again = Job(), Job()
    some = [(pulled, parsed(version)) for pulled, version in VERSIONS[: data.draw(st.integers(1, 90))]]
    place = st.integers(0, len(some) - 1)
    repeats = data.draw(st.lists(st.tuples(place, place), max_size=120))
    for pulled, version in some:
        once.take(version, pulled)
    for number, (pulled, version) in enumerate(some):
        again.take(version, pulled)
        for behind, repeated in repeats:
            if behind == number >= repeated:
                again.take(some[repeated][1], pulled)
    assert again.found == once.found


def test_an_event_is_forgotten_after_its_end_and_what_comes_later_is_left_out() -> None:
    """Its part of the totals stays, as nobody would know what to take away."""
    assert EVENT.end_at is not None
    job, known_until = Job(keep_days=30), EVENT.end_at + 30 * DAY_MS
    job.take(EVENT, EVENT.updated)
    job.pass_time(EVENT.event_id, known_until - 1)
    operator, _ = job.of(EVENT.event_id)
    assert operator._known.value() is not None
    before = job.spend()
    # A change shortly before makes it known for longer.
    job.take(EVENT._replace(rank=1, updated=known_until - DAY_MS), known_until - DAY_MS)
    job.pass_time(EVENT.event_id, known_until)
    assert operator._known.value() is not None
    job.pass_time(EVENT.event_id, known_until + 29 * DAY_MS)
    assert operator._known.value() is None
    job.take(EVENT._replace(spend=1, updated=known_until + 30 * DAY_MS), known_until + 30 * DAY_MS)
    assert operator._over.value == 1
    assert job.spend() == before
    assert len(job.found["changed"]) == 2


def test_a_replay_much_later_forgets_nothing_in_the_middle() -> None:
    """The clock is years ahead of the records: an event whose end is long past is still known to its next version."""
    job = Job(keep_days=30)
    operator, context = job.of(EVENT.event_id)
    context.timers.now = EVENT.updated + 3 * 365 * DAY_MS
    for more in (0, 1):
        event = EVENT._replace(updated=EVENT.updated + more, spend=more)
        list(operator.process_element((tuple(event), event.updated, 0), context))
        job.pass_time(EVENT.event_id, context.timers.now + 29 * DAY_MS)
    assert operator._known.value()[0][1] == EVENT.updated + 1


@pytest.mark.parametrize("lacks", ["start_day", "country", "category"])
def test_what_has_no_day_country_or_category_is_in_no_total(lacks: str) -> None:
    known = EVENT._replace(**{lacks: None})
    assert list(spend(None, known)) == []
    assert [each.events for each in spend(known, EVENT)] == [1]
    assert [each.events for each in spend(EVENT, known)] == [-1]


def test_a_change_takes_its_old_part_out_and_one_that_adds_the_same_none() -> None:
    assert list(spend(EVENT, EVENT._replace(rank=3))) == []
    moved = list(spend(EVENT, EVENT._replace(start_day="2026-12-24", spend=None)))
    assert moved == [
        ("2026-12-03", "KR|expos", -1, -3_900_000, -40_000),
        ("2026-12-24", "KR|expos", 1, 0, 40_000),
    ]
    assert [each.events for each in spend(EVENT, EVENT._replace(state="deleted"))] == [-1]


# ----- what a pull without memory would call


def per_day(more: Counter[tuple[str, date]], operation: str) -> dict[date, int]:
    """The calls of each day, from by how much each has more than the day before."""
    days = sorted(day for each, day in more if each == operation)
    found, calls = {}, 0
    for number in range((days[-1] - days[0]).days + 1) if days else ():
        day = days[0] + timedelta(days=number)
        calls += more[operation, day]
        found[day] = calls
    return {day: calls for day, calls in found.items() if calls}


def counted(event: Event, since: date, trip: Trip) -> dict[str, dict[date, int]]:
    """The same, by asking every day anew."""
    found: dict[str, dict[date, int]] = {PLACES: {}, FLIGHTS: {}}
    for number in range(60):
        today = since + timedelta(days=number)
        asked = needed(UpdateType.NEW, event, NEAREST, trip, today)
        if asked.place:
            found[PLACES][today] = 1
        if asked.flights:
            found[FLIGHTS][today] = len(asked.flights)
    return found


@pytest.mark.parametrize("ahead", [5, 330])
@pytest.mark.parametrize("days", [("2026-12-03", "2026-12-05"), ("2026-11-20", "2026-11-28"), ("2026-11-01", None)])
def test_a_naive_pull_asks_every_day_what_a_new_event_would_need(ahead: int, days: tuple[str, str | None]) -> None:
    event, trip = EVENT._replace(start_day=days[0], end_day=days[1]), TRIP._replace(ahead=ahead)
    more, asked = naive(event, NEAREST, trip, 1, TODAY), counted(event, TODAY, trip)
    assert per_day(more, PLACES) == asked[PLACES]
    last = date.fromisoformat(days[1] or days[0])
    assert {day: calls for day, calls in per_day(more, FLIGHTS).items() if day <= last} == {
        day: calls for day, calls in asked[FLIGHTS].items() if day <= last
    }
    assert not more or sum(more.values()) == 0


def test_a_new_version_takes_the_place_of_the_old_one_in_it() -> None:
    later = TODAY + timedelta(days=4)
    moved = read(start="2026-12-20T01:00:00Z", end="2026-12-21T10:00:00Z")
    job = Job()
    job.take(EVENT, datetime.combine(TODAY, datetime.min.time(), UTC))
    job.take(moved._replace(updated=EVENT.updated + 1), datetime.combine(later, datetime.min.time(), UTC))
    sums: Counter[tuple[str, date]] = Counter()
    for operation, days, calls in job.found["naive"]:
        for day, more in zip(days, calls, strict=True):
            sums[operation, date(1970, 1, 1) + timedelta(days=day)] += more
    before, after = (per_day(naive(each, NEAREST, TRIP, 1, TODAY), PLACES) for each in (EVENT, moved))
    assert per_day(sums, PLACES) == {day: after[day] if day >= later else before[day] for day in after}


def test_what_is_deleted_or_everywhere_is_asked_for_by_nobody() -> None:
    for event in (None, EVENT._replace(state="deleted"), EVENT._replace(scope="country")):
        assert naive(event, NEAREST, TRIP, 1, TODAY) == Counter()


def test_what_is_over_needs_nothing() -> None:
    over = EVENT._replace(start_day="2026-11-20", end_day="2026-11-25")
    assert needed(UpdateType.NEW, over, NEAREST, TRIP, TODAY) == (None, None, ())
    assert needed(UpdateType.NEW, over._replace(end_day="2026-11-26"), NEAREST, TRIP, TODAY).place is not None


def test_a_place_has_one_name() -> None:
    assert name_of((35.9068, 128.627)) == "35.9068,128.6270"
    assert name_of((-0.0 + 0.0, -171.1)) == "0.0000,-171.1000"


FORMS: dict[str, Callable[[datetime], str]] = {
    "a fraction": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.123456789Z",
    "an offset without a colon": lambda at: f"{at + timedelta(hours=9):%Y-%m-%dT%H:%M:%S}+0900",
    "hours alone": lambda at: f"{at - timedelta(hours=5):%Y-%m-%dT%H:%M:%S}-05",
    "small letters": lambda at: f"{at:%Y-%m-%dt%H:%M:%Sz}",
}


@pytest.mark.parametrize("form", FORMS)
def test_times_are_read_in_the_forms_that_the_jvm_takes(form: str) -> None:
    """It says which version is newer before Python does; a fraction is cut off, as there."""
    at = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    fraction = 123 if form == "a fraction" else 0
    assert read(updated=FORMS[form](at)).updated == events.milliseconds(at) + fraction
