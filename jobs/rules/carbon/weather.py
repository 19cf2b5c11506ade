"""A station's weather of a day, as KMA's ASOS service tells it: every value a string, empty where it is missing.

Service: data.go.kr 15059093, operation getWthrDataList. Where `sumRn` (rain, mm) or `ddMes` (snow depth, cm) is empty,
there was none; a temperature or humidity that is empty is missing, never 0.
"""

from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from jobs.rules.fields import (
    DAY,
    Fields,
    Reason,
    RejectedError,
    fetched,
    field,
    identifier,
    json_object,
    number,
    same_key,
)

CELSIUS = (-60, 60)
MOST_RAIN_MM = 5_000
MOST_SNOW_CM = 2_000


class Day(NamedTuple):
    """Weather of a station and a day such as `2026-05-01`; None where it was not measured."""

    station: str
    day: str
    mean_celsius: Decimal | None
    min_celsius: Decimal | None
    max_celsius: Decimal | None
    rain_mm: Decimal
    snow_cm: Decimal
    humidity_percent: Decimal | None


def parse(key: str | None, value: bytes | None, at: int) -> Day:
    """The day that a record holds; its key is `<station>|<YYYY-MM-DD>`, `at` its timestamp in ms.

    Raises:
        RejectedError: it breaks a rule.
    """
    today = fetched(at).date()
    record = json_object(value)
    found = Day(
        identifier(record, "stnId"),
        _day(field(record, "tm", str), today),
        _measured(record, "avgTa", *CELSIUS),
        _measured(record, "minTa", *CELSIUS),
        _measured(record, "maxTa", *CELSIUS),
        _measured(record, "sumRn", 0, MOST_RAIN_MM) or Decimal(0),
        _measured(record, "ddMes", 0, MOST_SNOW_CM) or Decimal(0),
        _measured(record, "avgRhm", 0, 100),
    )
    same_key(key, found.station, found.day)
    return found


def seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded day (content, timestamp, offset) as its station's month, the day, and what a `Seen` is made of.

    Its content is the mean temperature in hundredths of a degree.
    """
    content, *version = record
    day = Day(*content)
    celsius = None if day.mean_celsius is None else round(day.mean_celsius * 100)
    return f"{day.station}|{day.day[:7]}", day.day, (tuple(version), (celsius,), True, 1)


def _day(text: str, today: date) -> str:
    if not DAY.fullmatch(text):
        raise RejectedError(Reason.WRONG_TYPE, f"tm: expected a day, found {text[:40]!r}")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise RejectedError(Reason.WRONG_TYPE, f"tm: expected a day, found {text[:40]!r}") from error
    if not 2000 <= day.year < 2100:
        raise RejectedError(Reason.OUT_OF_RANGE, f"tm is not within the years 2000 to 2099: {text}")
    if day > today:
        raise RejectedError(Reason.OUT_OF_RANGE, f"tm is later than the day it was fetched, {today}: {text}")
    return text


def _measured(record: Fields, name: str, low: int, high: int) -> Decimal | None:
    text: str = field(record, name, str).strip()
    return number(name, text, low, high) if text else None
