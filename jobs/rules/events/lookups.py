"""What has to be looked up for an event that is new or moved: what is near its place, and flights on its days.

What is asked is named by what it depends on, a place or an airport pair and day, and not by the event: two events in
one hall, or in one city on the same days, need it once, and so does an event that moved to a day that was asked for.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from conf.airports import Airport, distance_km
from jobs.rules.events.changes import Place, UpdateType, place_of
from jobs.rules.events.event import Event

# Nobody eats near the middle of a country: events of these scopes are everywhere in it.
WIDE = frozenset({"county", "region", "country"})


class Flight(NamedTuple):
    """A day's non-stop flights from one airport to another, such as `2026-11-26`."""

    origin: str
    destination: str
    day: str


class Needed(NamedTuple):
    """What to look up; the airport is the event's, also where no flight is needed."""

    place: Place | None
    airport: str | None
    flights: tuple[Flight, ...]


class Trip(NamedTuple):
    """When one would fly.

    Attributes:
        home: the airport one flies from and back to.
        out_before, out_after: days of the outward flight: so many before the event's first to so many after its last.
        back_after: days of the flight back: the event's first to so many after its last.
        most_days: days of each; of a longer event, its first days out and its last days back.
        ahead: how many days ahead offers are made.
    """

    home: str
    out_before: int = 3
    out_after: int = 1
    back_after: int = 4
    most_days: int = 14
    ahead: int = 330


def nearest(airports: Sequence[Airport], event: Event) -> Airport | None:
    """The nearest airport in the event's country, or anywhere where the country is not known."""
    if event.lat is None or event.lon is None:
        return None
    there = [each for each in airports if event.country in (None, each.country)]
    lat, lon = event.lat, event.lon
    # The code decides between two that are equally near, so that every run finds the same.
    return min(there, key=lambda each: (distance_km((lat, lon), (each.lat, each.lon)), each.code), default=None)


def needed(kind: UpdateType, event: Event, airports: Sequence[Airport], trip: Trip, today: date) -> Needed:
    """What has to be looked up for a version; nothing, unless it is new or moved, and takes place somewhere.

    All that the event needs is named, also what an earlier version needed: what was asked is known by its own name.

    Args:
        kind: what kind of change it is.
        event: the version.
        airports: all there are.
        trip: when one would fly.
        today: nobody flies before it.
    """
    if kind not in (UpdateType.MOVED, UpdateType.NEW) or event.scope in WIDE:
        return Needed(None, None, ())
    airport = nearest(airports, event)
    flights = tuple(_flights(event, airport.code, trip, today)) if airport else ()
    return Needed(place_of(event), airport.code if airport else None, flights)


def _flights(event: Event, airport: str, trip: Trip, today: date) -> Iterator[Flight]:
    if airport == trip.home or event.start_day is None:
        return
    first = date.fromisoformat(event.start_day)
    last = date.fromisoformat(event.end_day or event.start_day)
    begin = first - timedelta(days=trip.out_before)
    for day in _days(begin, min(last + timedelta(days=trip.out_after), begin + timedelta(days=trip.most_days - 1))):
        if _is_offered(day, trip, today):
            yield Flight(trip.home, airport, day.isoformat())
    end = last + timedelta(days=trip.back_after)
    for day in _days(max(first, end - timedelta(days=trip.most_days - 1)), end):
        if _is_offered(day, trip, today):
            yield Flight(airport, trip.home, day.isoformat())


def _is_offered(day: date, trip: Trip, today: date) -> bool:
    return today <= day <= today + timedelta(days=trip.ahead)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
