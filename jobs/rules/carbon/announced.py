"""A station's weather of a day as an issue of a forecast announced it: what the poller makes of KMA's answers.

Issue times and how far an issue reaches are those of `apis.kma`, by which the poller asks.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from apis.kma import TERMS
from jobs.rules.carbon.weather import CELSIUS, MOST_RAIN_MM
from jobs.rules.fields import DAY, Fields, Reason, RejectedError, fetched, field, identifier, json_object, same_key

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Announced(NamedTuple):
    """A day such as `2026-05-01` by an issue; `kind` is one of `apis.kma.TERMS`, `issued_at` in ms since 1970."""

    station: str
    kind: str
    issued_at: int
    day: str
    mean_celsius: Decimal
    min_celsius: Decimal
    max_celsius: Decimal
    rain_mm: Decimal | None
    rain_percent: int | None


def parse(key: str | None, value: bytes | None, at: int) -> Announced:
    """The day that a record holds; its key is `<station>|<kind>|<issued_at>|<day>`, `at` its timestamp in ms.

    Raises:
        RejectedError: it breaks a rule.
    """
    now = fetched(at)
    record = json_object(value)
    station, kind = identifier(record, "station"), field(record, "kind", str)
    if kind not in TERMS:
        raise RejectedError(Reason.OUT_OF_RANGE, f"kind is none of {', '.join(sorted(TERMS))}: {kind[:40]!r}")
    issued, day = _issued(field(record, "issued_at", str)), _day(field(record, "day", str))
    if not TERMS[kind].is_issued(issued):
        raise RejectedError(Reason.OUT_OF_RANGE, f"there is no {kind} issue at {record['issued_at']}")
    if issued > now:
        raise RejectedError(Reason.OUT_OF_RANGE, f"issued_at is later than the fetch: {record['issued_at']}")
    first, last = TERMS[kind].reach(issued)
    if not first <= day <= last:
        raise RejectedError(
            Reason.OUT_OF_RANGE, f"day is not within {first} to {last}, which the issue tells of: {day}"
        )
    low, mean, high = (_number(record, f"{name}_celsius", *CELSIUS) for name in ("min", "mean", "max"))
    if not low <= mean <= high:
        raise RejectedError(Reason.OUT_OF_RANGE, f"mean_celsius is not from min_celsius to max_celsius: {mean}")
    rain = None if record.get("rain_mm") is None else _number(record, "rain_mm", 0, MOST_RAIN_MM)
    percent: int | None = field(record, "rain_percent", int, optional=True)
    if percent is not None and not 0 <= percent <= 100:
        raise RejectedError(Reason.OUT_OF_RANGE, f"rain_percent is not within 0 to 100: {percent}")
    same_key(key, station, kind, record["issued_at"], record["day"])
    issued_ms = round(issued.timestamp() * 1000)
    return Announced(station, kind, issued_ms, day.isoformat(), mean, low, high, rain, percent)


def _number(record: Fields, name: str, low: int, high: int) -> Decimal:
    found = field(record, name, float)
    if not low <= found <= high:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is not within {low} to {high}: {found}")
    return round(Decimal(str(found)), 2)


def _issued(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise RejectedError(Reason.WRONG_TYPE, f"issued_at: expected a time in UTC, found {text[:40]!r}") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if DAY.fullmatch(text) else "")
    except ValueError as error:
        raise RejectedError(Reason.WRONG_TYPE, f"day: expected a day, found {text[:40]!r}") from error
