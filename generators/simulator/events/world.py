"""Events as they come about and change: a pure function of the seed, so that a test recomputes what must have come.

An event is a number; its history is all of its versions, each with its own `updated`, at most one a day. What an API
shows at a moment is the newest version until then.
"""

import functools
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

HALLS = 12
# Of all events so many are known on the first day; the others come within the days after it.
KNOWN_SHARE = 0.8
NEW_DAYS = 60
# Versions are made until so many days after the first one.
HORIZON_DAYS = 400
_MEAN_DAYS_BETWEEN = 40


class City(NamedTuple):
    """A city where events are, roughly where it is."""

    name: str
    country: str
    zone: str
    lat: float
    lon: float


CITIES = (
    City("Seoul", "KR", "Asia/Seoul", 37.55, 126.99),
    City("Busan", "KR", "Asia/Seoul", 35.17, 129.08),
    City("Daegu", "KR", "Asia/Seoul", 35.87, 128.60),
    City("Tokyo", "JP", "Asia/Tokyo", 35.68, 139.76),
    City("Osaka", "JP", "Asia/Tokyo", 34.69, 135.50),
    City("Taipei", "TW", "Asia/Taipei", 25.04, 121.55),
    City("Hong Kong", "HK", "Asia/Hong_Kong", 22.30, 114.17),
    City("Singapore", "SG", "Asia/Singapore", 1.30, 103.85),
    City("Bangkok", "TH", "Asia/Bangkok", 13.75, 100.53),
    City("Da Nang", "VN", "Asia/Ho_Chi_Minh", 16.05, 108.21),
    City("Manila", "PH", "Asia/Manila", 14.58, 120.99),
    City("New York", "US", "America/New_York", 40.74, -73.99),
    City("Las Vegas", "US", "America/Los_Angeles", 36.12, -115.17),
    City("Toronto", "CA", "America/Toronto", 43.65, -79.39),
    City("London", "GB", "Europe/London", 51.51, -0.12),
    City("Paris", "FR", "Europe/Paris", 48.86, 2.34),
    City("Frankfurt", "DE", "Europe/Berlin", 50.11, 8.66),
    City("Barcelona", "ES", "Europe/Madrid", 41.38, 2.16),
    City("Milan", "IT", "Europe/Rome", 45.48, 9.17),
    City("Sydney", "AU", "Australia/Sydney", -33.87, 151.20),
)
# Those with an audience, and how often each is; then those without.
ATTENDED = {
    "expos": 5,
    "concerts": 6,
    "festivals": 4,
    "sports": 5,
    "conferences": 4,
    "performing-arts": 4,
    "community": 3,
}
UNATTENDED = {"public-holidays": 1, "observances": 1, "school-holidays": 1, "severe-weather": 1, "academic": 1}
_DAILY = ("conferences", "expos")
_HOLIDAYS = ("public-holidays", "observances", "school-holidays")


@dataclass(frozen=True)
class Event:
    """What never changes of an event."""

    number: int
    event_id: str
    category: str
    city: City
    first_seen: datetime


class Version(NamedTuple):
    """What an event is from `updated` on; times in UTC, `marked` is when it was cancelled or postponed."""

    event: Event
    updated: datetime
    state: str
    deleted_reason: str | None
    marked: datetime | None
    start: datetime
    end: datetime
    hall: int
    rank: int
    attendance: int | None
    spend: int | None

    @property
    def first_seen(self) -> datetime:
        """When it was first known."""
        return self.event.first_seen

    @property
    def local_rank(self) -> int:
        """The rank among those of its city."""
        return min(100, self.rank + self.event.number % 9)


@dataclass(frozen=True)
class World:
    """All events.

    Attributes:
        seed: the same seed gives the same events.
        count: how many there are in all.
        first_day: the day on which most of them are known.
    """

    seed: int
    count: int
    first_day: date

    def at(self, moment: datetime) -> Sequence[Version]:
        """The newest version of each event that is known at a moment."""
        return _at(self, moment)

    def history(self, number: int) -> tuple[Version, ...]:
        """All versions of an event, the oldest first."""
        return _histories(self)[number]


@functools.lru_cache(maxsize=4)
def _at(world: World, moment: datetime) -> Sequence[Version]:
    found = []
    for history in _histories(world):
        if newest := bisect_right(history, moment, key=attrgetter("updated")):
            found.append(history[newest - 1])
    return found


@functools.lru_cache(maxsize=2)
def _histories(world: World) -> Sequence[tuple[Version, ...]]:
    return [tuple(_history(world, number)) for number in range(world.count)]


def _history(world: World, number: int) -> Iterator[Version]:
    draw = Random(f"{world.seed} event {number}")
    is_known = draw.random() < KNOWN_SHARE
    day = world.first_day + timedelta(days=-draw.randint(1, 60) if is_known else draw.randint(1, NEW_DAYS))
    kinds = ATTENDED | UNATTENDED
    event = Event(
        number=number,
        event_id=hashlib.sha256(f"{world.seed} {number}".encode()).hexdigest()[:18],
        category=draw.choices(list(kinds), list(kinds.values()))[0],
        city=draw.choice(CITIES),
        first_seen=_moment(day, draw),
    )
    version = _first(event, day, draw)
    yield version
    last = min(world.first_day + timedelta(days=HORIZON_DAYS), version.start.date())
    while (day := day + timedelta(days=1 + int(draw.expovariate(1 / _MEAN_DAYS_BETWEEN)))) < last:
        version = _next(version, _moment(day, draw), draw)
        yield version
        if version.state == "active":
            continue
        if version.deleted_reason != "postponed":
            return
        # With a new date, which has to be found, it comes back.
        day += timedelta(days=draw.randint(4, 20))
        later = timedelta(days=draw.randint(14, 90))
        version = version._replace(
            updated=_moment(day, draw),
            state="active",
            deleted_reason=None,
            marked=None,
            start=version.start + later,
            end=version.end + later,
        )
        yield version


def _first(event: Event, day: date, draw: Random) -> Version:
    first = day + timedelta(days=draw.randint(10, 300))
    zone = UTC if event.category in _HOLIDAYS else ZoneInfo(event.city.zone)
    hour = 0 if event.category in _HOLIDAYS else draw.randint(9, 19)
    start = datetime.combine(first, time(hour), zone).astimezone(UTC)
    length = timedelta(days=draw.choice((1, 1, 1, 2, 3, 5))) - timedelta(hours=draw.randint(14, 20))
    attendance = spend = None
    if event.category in ATTENDED:
        attendance = int(10 ** draw.uniform(2.5, 5))
        spend = attendance * draw.randint(40, 160)
    rank = draw.randint(85, 100) if draw.random() < 0.5 else draw.randint(20, 84)
    return Version(
        event, event.first_seen, "active", None, None, start, start + length, draw.randrange(HALLS), rank, attendance,
        spend,
    )  # fmt: skip


def _next(version: Version, moment: datetime, draw: Random) -> Version:
    now = version._replace(updated=moment)
    match draw.choices(("rank", "spend", "dates", "place", "gone", "words"), (35, 25, 15, 10, 10, 5))[0]:
        case "rank":
            return now._replace(rank=max(1, min(100, version.rank + draw.choice((-6, -3, 3, 6)))))
        case "spend" if version.spend is not None:
            return now._replace(spend=round(version.spend * draw.uniform(0.6, 1.5)))
        case "dates":
            later = timedelta(days=draw.randint(1, 40))
            return now._replace(start=version.start + later, end=version.end + later)
        case "place" if version.event.category in ATTENDED:
            return now._replace(hall=(version.hall + draw.randint(1, HALLS - 1)) % HALLS)
        case "gone":
            reason = draw.choice(("cancelled", "duplicate", "invalid", "postponed"))
            marked = moment if reason in ("cancelled", "postponed") else None
            return now._replace(state="deleted", deleted_reason=reason, marked=marked)
        case _:
            return now  # only words that nobody compares


def _moment(day: date, draw: Random) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(seconds=draw.randrange(86_400))


def hall_at(city: City, hall: int) -> tuple[float, float]:
    """Where a hall is, as (lat, lon): a few kilometres from the middle of its city."""
    draw = Random(f"hall {city.name} {hall}")
    return round(city.lat + draw.uniform(-0.04, 0.04), 6), round(city.lon + draw.uniform(-0.04, 0.04), 6)


def rendered(version: Version) -> dict[str, Any]:
    """An event as the API writes it."""
    event, city = version.event, version.event.city
    is_holiday = event.category in _HOLIDAYS
    lat, lon = (city.lat, city.lon) if is_holiday else hall_at(city, version.hall)
    marks = {f"{name}": _iso(version.marked) for name in ("cancelled", "postponed") if version.deleted_reason == name}
    spend = None
    if version.spend is not None:
        rooms, food = version.spend * 42 // 100, version.spend * 41 // 100
        spend = {"accommodation": rooms, "hospitality": food, "transportation": version.spend - rooms - food}
    return {
        "id": event.event_id,
        "title": f"{city.name} {event.category.replace('-', ' ').title()} {event.number}",
        "description": "Synthetic: no such event takes place.",
        "category": event.category,
        "labels": [event.category.rstrip("s")],
        "phq_labels": [],
        "rank": version.rank,
        "local_rank": None if is_holiday else version.local_rank,
        "phq_attendance": version.attendance,
        "entities": [] if is_holiday else [_venue(city, version.hall)],
        "duration": int((version.end - version.start).total_seconds()),
        "start": _iso(version.start),
        "end": _iso(version.end),
        "updated": _iso(version.updated),
        "first_seen": _iso(event.first_seen),
        "timezone": None if is_holiday else city.zone,
        "location": [lon, lat],
        "geo": {"geometry": _geometry(version, lat, lon), "placekey": None},
        "scope": "country" if is_holiday else "region" if event.category == "severe-weather" else "locality",
        "country": city.country,
        "place_hierarchies": [["6295630", city.country]],
        "state": version.state,
        **({"deleted_reason": version.deleted_reason} if version.deleted_reason else {}),
        **marks,
        "brand_safe": True,
        "private": False,
        "predicted_event_spend": version.spend,
        "predicted_event_spend_industries": spend,
        "impact_patterns": [],
    }


def _geometry(version: Version, lat: float, lon: float) -> dict[str, Any]:
    """A point; of a holiday or a storm an area around it; every tenth festival is in two halls at once."""
    event = version.event
    if event.category in _HOLIDAYS or event.category == "severe-weather":
        far = 2.0 if event.category in _HOLIDAYS else 0.3
        corners = [(-far, -far), (far, -far), (far, far), (-far, far), (-far, -far)]
        return {"type": "Polygon", "coordinates": [[[lon + x, lat + y] for x, y in corners]]}
    if event.category == "festivals" and event.number % 10 == 0:
        second_lat, second_lon = hall_at(event.city, (version.hall + 1) % HALLS)
        return {"type": "MultiPoint", "coordinates": [[lon, lat], [second_lon, second_lat]]}
    return {"type": "Point", "coordinates": [lon, lat]}


def _venue(city: City, hall: int) -> dict[str, str]:
    return {
        "entity_id": hashlib.sha256(f"{city.name} {hall}".encode()).hexdigest()[:22],
        "name": f"{city.name} Hall {hall + 1}",
        "type": "venue",
        "formatted_address": f"{city.name}, {city.country}",
    }


def _iso(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
