"""What an event's newer version changed.

Only a version with a newer `updated` counts; an older one, or one that was seen, changes nothing. From this follows,
for the versions of one event, each with an `updated` of its own:

- **The latest** is the version with the newest `updated`, whatever order they come in and however often.
- **Repeats** change nothing: a sequence with repeats anywhere gives the same changes as without them.
- **In order** of `updated`, every version that differs from the one before is one change. Poller and topic keep that
  order per event, so this is what the table `event_changes` holds, whatever is killed, replayed or sent twice.
- **Out of order** a version that comes after a newer one is left out, and the newer one's change says what differs from
  the last one that counted. So there are fewer changes: each `updated` has one at most, the old values of each are the
  new ones of the one before, and all of them in a row lead to the latest.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from jobs.rules.events.event import Event

# Metres per unit of the last digit: about 11. Two points that are the same up to it are the same place, so that another
# way to look up a hall's position is no move.
PLACE_DECIMALS = 4
Value = str | int | float | None
Place = tuple[float, float]
# What a change of names no change: the event's name, its order, and notes of what could not be read.
_ASIDE = {"event_id", "updated", "flaws"}
COMPARED = tuple(name for name in Event._fields if name not in _ASIDE)
_DAYS = ("start_day", "end_day")


class UpdateType(IntEnum):
    """What became of an event, as the tables show it.

    A move is another place or other days: what has to be looked up anew. An event that was deleted and is there again,
    such as one that was postponed, is new.
    """

    UNCHANGED = 0
    CHANGED = 1
    MOVED = 2
    NEW = 3
    DELETED = 4


class Change(NamedTuple):
    """A field that changed."""

    name: str
    old: Value
    new: Value


class Step(NamedTuple):
    """What a version did: the event as it is known after it, what kind of change it was, and which fields changed.

    A first version changes every field that it tells. `counted` says whether the version is the newest known.
    """

    latest: Event
    update_type: UpdateType
    changes: tuple[Change, ...]
    counted: bool


def step(known: Event | None, seen: Event) -> Step:
    """Take one more version of an event of which `known` is the latest so far, if there was any."""
    if known is not None and seen.updated <= known.updated:
        return Step(known, UpdateType.UNCHANGED, (), counted=False)
    changes = _changes(known, seen)
    return Step(seen, _type(known, seen, changes), changes, counted=True)


def applied(changes: Iterable[Change], to: Mapping[str, Value]) -> dict[str, Value]:
    """Fields with changes made to them."""
    return {**to, **{change.name: change.new for change in changes}}


def place_of(event: Event) -> Place | None:
    """Where it takes place, as look-ups are cached by it; two events in one hall are at one place."""
    if event.lat is None or event.lon is None:
        return None
    return round(event.lat, PLACE_DECIMALS) + 0.0, round(event.lon, PLACE_DECIMALS) + 0.0


def _changes(known: Event | None, seen: Event) -> tuple[Change, ...]:
    pairs = ((name, getattr(known, name) if known else None, getattr(seen, name)) for name in COMPARED)
    return tuple(Change(name, old, new) for name, old, new in pairs if old != new)


def _type(known: Event | None, seen: Event, changes: tuple[Change, ...]) -> UpdateType:
    is_there, was_there = seen.state != "deleted", known is not None and known.state != "deleted"
    if not is_there:
        if known is None or was_there:
            return UpdateType.DELETED
        return UpdateType.CHANGED if changes else UpdateType.UNCHANGED
    if known is None or not was_there:
        return UpdateType.NEW
    if place_of(known) != place_of(seen) or any(change.name in _DAYS for change in changes):
        return UpdateType.MOVED
    return UpdateType.CHANGED if changes else UpdateType.UNCHANGED
