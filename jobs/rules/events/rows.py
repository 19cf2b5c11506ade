"""The rows of the events job, as they go to Flink SQL; `jobs.flow.emitted` says how they go there.

Times are in ms since 1970, days are text such as `2026-11-26`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from jobs.rules.events.changes import Change, Place, Step, UpdateType
from jobs.rules.events.event import Event
from jobs.rules.events.lookups import FLIGHTS, PLACES, Needed

_EPOCH = date(1970, 1, 1)


class Latest(NamedTuple):
    """The latest version of an event; `place` names where it is, as look-ups are kept by it."""

    event_id: str
    title: str | None
    category: str | None
    country: str | None
    scope: str | None
    timezone: str | None
    lat: float | None
    lon: float | None
    place: str | None
    airport: str | None
    start_at: int | None
    end_at: int | None
    start_day: str | None
    end_day: str | None
    rank: int | None
    local_rank: int | None
    attendance: int | None
    spend: int | None
    state: str
    deleted_reason: str | None
    update_type: int
    updated: int
    flaws: str | None


class Changed(NamedTuple):
    """A change; `changed` is JSON, of each field that changed its name, the old value and the new one."""

    event_id: str
    updated: int
    update_type: int
    changed: str
    seen_at: int


class Spend(NamedTuple):
    """What an event adds to its first day, country and category, or takes away from them."""

    day: str
    market: str
    events: int
    spend: int
    attendance: int


class Naive(NamedTuple):
    """Of some days (since 1970), by how many calls of an operation a naive pull makes more than the day before."""

    operation: str
    days: Sequence[int | None]
    calls: Sequence[int | None]


class Asked(NamedTuple):
    """What is to be looked up: the operation, and its question, by which answers are kept."""

    operation: str
    question: str


class NearbyPlace(NamedTuple):
    """Where one can eat or sleep near the place of events."""

    place: str
    provider: str
    place_id: str
    kind: str
    name: str | None
    lat: float
    lon: float
    metres: int
    attribution: str
    fetched_at: int
    expires_at: int


class FlightOffer(NamedTuple):
    """The lowest fare of a non-stop flight; times are those of the airports, `country` is the one away from home."""

    origin: str
    destination: str
    day: str
    flight: str
    country: str | None
    departs_at: str
    arrives_at: str
    amount: str
    currency: str
    fetched_at: int
    expires_at: int


def latest(step: Step, place: Place | None, airport: str | None) -> Latest:
    """The row of a version that counted."""
    event = step.latest
    values = event._asdict() | {
        "place": name_of(place) if place else None,
        "airport": airport,
        "update_type": int(step.update_type),
        "flaws": ", ".join(event.flaws) or None,
    }
    return Latest(**{name: values[name] for name in Latest._fields})


def changed(step: Step, seen_at: int) -> Changed | None:
    """The row of a change; None: nothing changed."""
    if step.update_type == UpdateType.UNCHANGED:
        return None
    event = step.latest
    return Changed(event.event_id, event.updated, int(step.update_type), _written(step.changes), seen_at)


def spend(old: Event | None, new: Event) -> Iterator[Spend]:
    """What a version takes away with the one before it, and adds; nothing where both add the same."""
    before, after = _added(old), _added(new)
    if before == after:
        return
    if before:
        day, market, *sums = before
        yield Spend(day, market, *(-each for each in sums))
    if after:
        yield after


def naive(more: Counter[tuple[str, date]], less: Counter[tuple[str, date]]) -> Iterator[Naive]:
    """A row per operation of what a version asks for more than the one before it."""
    more = more.copy()
    more.subtract(less)
    for operation in sorted({operation for operation, _ in more}):
        found = sorted((day, calls) for (each, day), calls in more.items() if each == operation and calls)
        if found:
            yield Naive(operation, [(day - _EPOCH).days for day, _ in found], [calls for _, calls in found])


def asked(needed: Needed) -> Iterator[Asked]:
    """A row per question."""
    if needed.place:
        yield Asked(PLACES, name_of(needed.place))
    for flight in needed.flights:
        yield Asked(FLIGHTS, "|".join(flight))


def name_of(place: Place) -> str:
    """A place as a key, such as `35.9068,128.6270`."""
    return f"{place[0]:.4f},{place[1]:.4f}"


def _added(event: Event | None) -> Spend | None:
    """What an event adds by itself; one that is gone, or lacks the day, country or category, adds nothing."""
    if event is None or event.state == "deleted" or not (event.start_day and event.country and event.category):
        return None
    return Spend(event.start_day, f"{event.country}|{event.category}", 1, event.spend or 0, event.attendance or 0)


def _written(changes: Sequence[Change]) -> str:
    return json.dumps({each.name: {"old": each.old, "new": each.new} for each in changes}, ensure_ascii=False)
