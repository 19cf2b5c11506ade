"""What has to be looked up for an event that is new or moved: what is near its place, and flights on its days.

What is asked is named by what it depends on, a place or an airport pair and day, and not by the event: two events in
one hall, or in one city on the same days, need it once, and so does an event that moved to a day that was asked for.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from conf.airports import Airport, distance_km
from jobs.rules.events.changes import Place, UpdateType, place_of
from jobs.rules.events.event import Event

# Nobody eats near the middle of a country: events of these scopes are everywhere in it.
WIDE = frozenset({"county", "region", "country"})
# The operations by which quotas, and the view `api_calls`, count what is looked up.
PLACES, FLIGHTS = "places", "flights"
_DAY = timedelta(days=1)
_MOST_POSITIONS = 10_000


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


class Nearest:
    """The nearest airport in an event's country, or anywhere where the country is not known; None: it is nowhere.

    The newest positions are remembered: an event asks several times for its own, and so do all events in one hall.

    Args:
        airports: all there are.
    """

    def __init__(self, airports: Iterable[Airport]) -> None:
        self._in: dict[str | None, list[Airport]] = defaultdict(list)
        for airport in airports:
            self._in[airport.country].append(airport)
            self._in[None].append(airport)
        self._at = functools.lru_cache(maxsize=_MOST_POSITIONS)(self._find)

    def __call__(self, event: Event) -> Airport | None:
        """That of an event."""
        if event.lat is None or event.lon is None:
            return None
        return self._at(event.country, event.lat, event.lon)

    def _find(self, country: str | None, lat: float, lon: float) -> Airport | None:
        there = self._in.get(country, ())
        # The code decides between two that are equally near, so that every run finds the same.
        return min(there, key=lambda each: (distance_km((lat, lon), (each.lat, each.lon)), each.code), default=None)


def needed(kind: UpdateType, event: Event, nearest: Nearest, trip: Trip, today: date) -> Needed:
    """What has to be looked up for a version; nothing, unless it is new or moved, somewhere, and not over.

    All that the event needs is named, also what an earlier version needed: what was asked is known by its own name.

    Args:
        kind: what kind of change it is.
        event: the version.
        nearest: finds its airport.
        trip: when one would fly.
        today: nobody goes there, or flies, before it.
    """
    days = _days_of(event)
    if kind not in (UpdateType.MOVED, UpdateType.NEW) or event.scope in WIDE or (days and days[1] < today):
        return Needed(None, None, ())
    airport = nearest(event)
    flights = _flights(event, airport, trip)
    offered = (flight for flight in flights if today <= date.fromisoformat(flight.day) <= today + _ahead(trip))
    return Needed(place_of(event), airport.code if airport else None, tuple(offered))


def naive(
    event: Event | None, nearest: Nearest, trip: Trip, calls_per_place: int, since: date
) -> Counter[tuple[str, date]]:
    """What a pull without memory would ask for an event: every day until it is over, everything once more.

    A place costs it `calls_per_place`, a day's flights one call.

    Returns:
        per operation (`PLACES`, `FLIGHTS`) and day, by how many calls that day has more than the day before it; the
        days from `since` on. So a new version's take the place of the old one's by a difference.
    """
    more: Counter[tuple[str, date]] = Counter()
    days = _days_of(event) if event else None
    if event is None or days is None or event.state == "deleted" or event.scope in WIDE:
        return more

    def asked(operation: str, first: date, last: date, calls: int = 1) -> None:
        if first <= last:
            more[operation, first] += calls
            more[operation, last + _DAY] -= calls

    if place_of(event):
        asked(PLACES, since, days[1], calls_per_place)
    for flight in _flights(event, nearest(event), trip):
        day = date.fromisoformat(flight.day)
        asked(FLIGHTS, max(since, day - _ahead(trip)), day)
    return more


def _days_of(event: Event) -> tuple[date, date] | None:
    """The first and the last day."""
    if event.start_day is None:
        return None
    return date.fromisoformat(event.start_day), date.fromisoformat(event.end_day or event.start_day)


def _ahead(trip: Trip) -> timedelta:
    return timedelta(days=trip.ahead)


def _flights(event: Event, airport: Airport | None, trip: Trip) -> Iterator[Flight]:
    """All flights there and back, whenever they are."""
    days = _days_of(event)
    if airport is None or airport.code == trip.home or days is None:
        return
    first, last = days
    begin = first - timedelta(days=trip.out_before)
    for day in _span(begin, min(last + timedelta(days=trip.out_after), begin + timedelta(days=trip.most_days - 1))):
        yield Flight(trip.home, airport.code, day.isoformat())
    end = last + timedelta(days=trip.back_after)
    for day in _span(max(first, end - timedelta(days=trip.most_days - 1)), end):
        yield Flight(airport.code, trip.home, day.isoformat())


def _span(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
