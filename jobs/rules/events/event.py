"""A world event, as PredictHQ's events API tells it: what is kept of a record of `events.raw`.

The rule of what is wrong with a record:

- **A dead letter**, where the event can't be told from others or put in order: no JSON object, no `id`, a key that is
  not the id, no `updated` that is a time, no `state` that is known.
- **Null, and a note in `flaws`**, where anything else can't be used: the event is there, without that field. So it is
  with a location of the wrong shape, a category that is not known, a country that is no code of two letters, a time
  zone that does not exist, a rank beyond 100, an end before the start. A note is the field's name and the reason.
- **Null**, where the API leaves it open by its documents: an empty country, no attendance, no spend, no time zone.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from jobs.rules.events import geometry
from jobs.rules.events.geometry import Point
from jobs.rules.fields import Fields, Reason, RejectedError, field, identifier, json_object, same_key

# All of https://docs.predicthq.com: a new one is null until it stands here.
CATEGORIES = frozenset(
    {
        *(
            "academic",
            "airport-delays",
            "community",
            "concerts",
            "conferences",
            "daylight-savings",
            "disasters",
            "expos",
        ),
        *("festivals", "health-warnings", "observances", "performing-arts", "politics", "public-holidays"),
        *("school-holidays", "severe-weather", "sports", "terror"),
    }
)
SCOPES = frozenset({"locality", "localadmin", "county", "region", "country"})
STATES = ("active", "predicted", "deleted")
REASONS = ("cancelled", "duplicate", "invalid", "postponed")
MOST_RANK = 100
# More people, or dollars, than any event draws.
MOST_ATTENDANCE = 10**9
MOST_SPEND = 10**13
_COUNTRY = re.compile(r"[A-Z]{2}")
# The forms that Times.java takes, which says whether a version is newer before Python sees it.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)",
    re.IGNORECASE,
)
_YEARS = range(1900, 2200)
_ZONES = frozenset(available_timezones())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class Event(NamedTuple):
    """An event: times in ms since 1970, its position in WGS84 degrees, spend in USD.

    `start_day` and `end_day` are the first and last day where it takes place, such as `2026-11-26`.
    """

    event_id: str
    updated: int
    state: str
    deleted_reason: str | None
    title: str | None
    category: str | None
    country: str | None
    scope: str | None
    timezone: str | None
    lat: float | None
    lon: float | None
    start_at: int | None
    end_at: int | None
    start_day: str | None
    end_day: str | None
    rank: int | None
    local_rank: int | None
    attendance: int | None
    spend: int | None
    flaws: tuple[str, ...]


def parse(key: str | None, value: bytes | None, at: int) -> Event:
    """The event that a record holds; its key is the event's id. `at`, the record's timestamp, says nothing of it.

    Raises:
        RejectedError: it becomes a dead letter, by the rule above.
    """
    del at
    record = json_object(value)
    event_id = identifier(record, "id")
    same_key(key, event_id)
    updated = _moment("updated", field(record, "updated", str))
    state = field(record, "state", str)
    if state not in STATES:
        raise RejectedError(Reason.OUT_OF_RANGE, f"state is none of {', '.join(STATES)}: {state[:40]!r}")
    flaws: list[str] = []

    def read(name: str, how: Callable[[Fields, str], T | None]) -> T | None:
        try:
            return how(record, name)
        except RejectedError as error:
            flaws.append(f"{name} {error.reason}")
            return None

    zone = read("timezone", _zone)
    point = read("geo", _geo) or read("location", _location)
    start, end = read("start", _time), read("end", _time)
    if start and end and end < start:
        flaws.append(f"end {Reason.OUT_OF_RANGE}")
        end = None
    return Event(
        event_id=event_id,
        updated=_milliseconds(updated),
        state=state,
        deleted_reason=read("deleted_reason", _one_of(REASONS)) if state == "deleted" else None,
        title=read("title", _text),
        category=read("category", _one_of(CATEGORIES)),
        country=read("country", _country),
        scope=read("scope", _one_of(SCOPES)),
        timezone=zone,
        lat=point[0] if point else None,
        lon=point[1] if point else None,
        start_at=_milliseconds(start) if start else None,
        end_at=_milliseconds(end) if end else None,
        start_day=_day(start, zone),
        end_day=_day(end, zone),
        rank=read("rank", _up_to(MOST_RANK)),
        local_rank=read("local_rank", _up_to(MOST_RANK)),
        attendance=read("phq_attendance", _up_to(MOST_ATTENDANCE)),
        spend=read("predicted_event_spend", _up_to(MOST_SPEND)),
        flaws=tuple(flaws),
    )


def _text(record: Fields, name: str) -> str | None:
    """A text; an empty one is none."""
    found: str | None = field(record, name, str, optional=True)
    return found or None


def _one_of(known: frozenset[str] | tuple[str, ...]) -> Callable[[Fields, str], str | None]:
    def read(record: Fields, name: str) -> str | None:
        found = _text(record, name)
        if found is not None and found not in known:
            raise RejectedError(Reason.OUT_OF_RANGE, name)
        return found

    return read


def _country(record: Fields, name: str) -> str | None:
    found = _text(record, name)
    if found is not None and not _COUNTRY.fullmatch(found):
        raise RejectedError(Reason.OUT_OF_RANGE, name)
    return found


def _zone(record: Fields, name: str) -> str | None:
    found = _text(record, name)
    if found is not None and found not in _ZONES:
        raise RejectedError(Reason.OUT_OF_RANGE, name)
    return found


def _up_to(most: int) -> Callable[[Fields, str], int | None]:
    """A whole number; 5.0 is one, too."""

    def read(record: Fields, name: str) -> int | None:
        found = field(record, name, float, optional=True)
        if found is None:
            return None
        if found != int(found):
            raise RejectedError(Reason.WRONG_TYPE, name)
        if not 0 <= found <= most:
            raise RejectedError(Reason.OUT_OF_RANGE, name)
        return int(found)

    return read


def _geo(record: Fields, name: str) -> Point | None:
    about: dict[str, Any] | None = field(record, name, dict, optional=True)
    shape = about.get("geometry") if about else None
    return None if shape is None else geometry.point_of(shape)


def _location(record: Fields, name: str) -> Point | None:
    """The older way to say where it is: a position alone."""
    found = field(record, name, list, optional=True)
    return None if found is None else geometry.position(found)


def _time(record: Fields, name: str) -> datetime | None:
    text = _text(record, name)
    return None if text is None else _moment(name, text)


def _moment(name: str, text: str) -> datetime:
    if not (parts := _TIME.fullmatch(text)):
        raise RejectedError(Reason.WRONG_TYPE, f"{name}: expected a time such as 2026-11-26T09:00:00Z")
    seconds, fraction, offset = parts[1], (parts[2] or ".0")[:7], parts[3]
    try:
        moment = datetime.fromisoformat(f"{seconds}{fraction.ljust(7, '0')}{offset}".upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name}: {text} is no time") from error
    if moment.year not in _YEARS:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is not within the years {_YEARS[0]} to {_YEARS[-1]}: {text}")
    return moment


def _milliseconds(moment: datetime) -> int:
    """Cut off and not rounded, as the JVM does."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _day(moment: datetime | None, zone: str | None) -> str | None:
    """The day there; times of an event without a time zone, such as a holiday, are those of the place already."""
    if moment is None:
        return None
    return (moment.astimezone(ZoneInfo(zone)) if zone else moment).date().isoformat()
