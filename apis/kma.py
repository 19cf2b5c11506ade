"""KMA's weather forecasts: when they are issued and how far they reach, their grid, and what they say of whole days.

Short-term: data.go.kr 15084084, getVilageFcst. Mid-term: 15059468, getMidTa and getMidLandFcst. Pollers make records of
them by this, and the carbon job judges the records by this again. Times and days are those of Korea. Pure.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from apis import calendar
from apis.data_go_kr import Item


@dataclass(frozen=True)
class Term:
    """A kind of forecast.

    Attributes:
        name: as records have it.
        hours: when it is issued, every day.
        delay: how long after that it can be read.
        evening: the first of the hours whose issues begin, or end, a day later than those before.
        begins, ends: the days that an issue tells of, counted from its own: of one before `evening`, and of the others.
    """

    name: str
    hours: tuple[int, ...]
    delay: timedelta
    evening: int
    begins: tuple[int, int]
    ends: tuple[int, int]

    def is_issued(self, moment: datetime) -> bool:
        """Whether there is an issue of this moment."""
        local = moment.astimezone(calendar.KOREA)
        return local.hour in self.hours and local.time() == time(local.hour)

    def reach(self, issued: datetime) -> tuple[date, date]:
        """The first and the last day that an issue tells of."""
        local = issued.astimezone(calendar.KOREA)
        late = local.hour >= self.evening
        return (
            local.date() + timedelta(days=self.begins[late]),
            local.date() + timedelta(days=self.ends[late]),
        )

    def issues(self, since: datetime, now: datetime) -> Sequence[datetime]:
        """Those from a moment on that can be read by now, newest first."""
        days = calendar.days(calendar.day_of(since), calendar.day_of(now))
        every = (datetime.combine(day, time(hour), calendar.KOREA) for day in days for hour in self.hours)
        return sorted((each for each in every if since <= each <= now - self.delay), reverse=True)

    def next(self, now: datetime) -> datetime:
        """When the next one can be read."""
        today = calendar.day_of(now)
        every = (
            datetime.combine(day, time(hour), calendar.KOREA) + self.delay
            for day in (today, today + timedelta(days=1))
            for hour in self.hours
        )
        return next(each for each in every if each > now)


# Clients wait a little longer than the ten minutes that the guide names.
SHORT = Term("short-term", (2, 5, 8, 11, 14, 17, 20, 23), timedelta(minutes=15), 17, (0, 0), (3, 4))
# Since the revision of 2024-11-28.
MID = Term("mid-term", (6, 18), timedelta(minutes=30), 18, (4, 5), (10, 10))
TERMS = {term.name: term for term in (SHORT, MID)}


class Announced(NamedTuple):
    """What an issue says of a day; None: nothing.

    Attributes:
        rain_percent: the highest probability of precipitation within the day.
    """

    day: date
    mean_celsius: float
    min_celsius: float
    max_celsius: float
    rain_mm: float | None
    rain_percent: int | None


# The grid of the short-term forecast: a Lambert conformal conic projection of a sphere, in cells of 5 km.
_EARTH_KM, _CELL_KM = 6371.00877, 5.0
_STANDARD = math.radians(30), math.radians(60)
_ORIGIN = 126.0, math.radians(38)
_ORIGIN_CELL = 43, 136
CELLS = 149, 253


def _flattened(latitude: float) -> float:
    return math.tan(math.pi / 4 + latitude / 2)


_CONE = math.log(math.cos(_STANDARD[0]) / math.cos(_STANDARD[1])) / math.log(
    _flattened(_STANDARD[1]) / _flattened(_STANDARD[0])
)
_SCALE = _EARTH_KM / _CELL_KM * math.cos(_STANDARD[0]) * _flattened(_STANDARD[0]) ** _CONE / _CONE


def cell(lon: float, lat: float) -> tuple[int, int]:
    """The cell nx, ny of a position (WGS84).

    Raises:
        ValueError: it lies outside the grid.
    """
    radius, origin = (_SCALE / _flattened(latitude) ** _CONE for latitude in (math.radians(lat), _ORIGIN[1]))
    angle = math.radians(lon - _ORIGIN[0]) * _CONE
    x = math.floor(radius * math.sin(angle) + _ORIGIN_CELL[0] + 0.5)
    y = math.floor(origin - radius * math.cos(angle) + _ORIGIN_CELL[1] + 0.5)
    if not (1 <= x <= CELLS[0] and 1 <= y <= CELLS[1]):
        msg = f"{lon}, {lat} is outside KMA's grid, which covers South Korea"
        raise ValueError(msg)
    return x, y


# From here on, values are masked or missing.
_MISSING = 900
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_DAY_HOURS = 24
_LONGEST_STEP = 3
# mm of an hour by the code of the extended part (none, below 3, 3 to 15, more), and by the words of the others.
_CODES = {"0": 0.0, "1": 0.5, "2": 9.0, "3": 15.0}
_WORDS = (("강수없음", 0.0), ("미만", 0.5), ("~", 40.0), ("이상", 50.0))


def number(text: str | None) -> float | None:
    """A value; None where it is empty, masked, or none."""
    if not text or not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if abs(found) < _MISSING else None


def short_term(items: Iterable[Item]) -> list[Announced]:
    """What the items of one issue and cell say of whole days.

    A day is told of where its hours have no gap longer than those of the extended part, or where both its minimum and
    its maximum are there; of the rest of a running day, or of one whose values are masked, nothing is said.
    """
    slots: dict[date, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for item in items:
        at = datetime.strptime(item["fcstDate"] + item["fcstTime"], "%Y%m%d%H%M")  # noqa: DTZ007 - Korea's
        slots[at.date()][item["category"]][at.hour] = item["fcstValue"]
    return [found for day, by_name in sorted(slots.items()) if (found := _whole_day(day, by_name))]


def _whole_day(day: date, slots: Mapping[str, Mapping[int, str]]) -> Announced | None:
    known = {hour: value for hour, text in slots["TMP"].items() if (value := number(text)) is not None}
    extremes = [value for name in ("TMN", "TMX") for value in map(number, slots[name].values()) if value is not None]
    whole = _is_whole(sorted(known))
    if not whole and len(extremes) < 2:
        return None
    celsius = list(known.values())
    bounds = extremes if len(extremes) == 2 else [*extremes, *celsius]
    low, high, mean = min(bounds), max(bounds), fmean(celsius if whole else extremes)
    chances = [chance for text in slots["POP"].values() if (chance := number(text)) is not None]
    return Announced(
        day,
        round(min(max(mean, low), high), 2),
        low,
        high,
        _rain(slots["PCP"]) if whole else None,
        round(max(chances)) if chances else None,
    )


def _is_whole(hours: Sequence[int]) -> bool:
    if not hours or hours[0] != 0 or hours[-1] < _DAY_HOURS - _LONGEST_STEP:
        return False
    return all(later - earlier <= _LONGEST_STEP for earlier, later in pairwise(hours))


def _rain(hours: Mapping[int, str]) -> float | None:
    """The sum of a day; the extended part has codes, for as many hours as lie between two of them."""
    extended = len(hours) <= _DAY_HOURS / _LONGEST_STEP
    fallen = [_CODES.get(text) if extended else _of_hour(text) for text in hours.values()]
    if not fallen or None in fallen:
        return None
    return round(sum(filter(None, fallen)) * (_LONGEST_STEP if extended else 1), 1)


def _of_hour(text: str) -> float | None:
    if text in ("", "-", "null"):
        return 0.0
    if (found := next((mm for word, mm in _WORDS if word in text), None)) is not None:
        return found
    return number(text.removesuffix("mm"))


def mid_term(issued: datetime, temperature: Item, land: Item) -> list[Announced]:
    """What the item of getMidTa, and that of getMidLandFcst (empty: there is none), say of days.

    The mean is taken to be the middle of minimum and maximum, as no other is told.
    """
    found = []
    for day in calendar.days(*MID.reach(issued)):
        ahead = (day - calendar.day_of(issued)).days
        low, high = (number(temperature.get(f"{name}{ahead}")) for name in ("taMin", "taMax"))
        if low is None or high is None:
            continue
        chances = [
            chance for half in ("Am", "Pm", "") if (chance := number(land.get(f"rnSt{ahead}{half}"))) is not None
        ]
        low, high = min(low, high), max(low, high)
        percent = round(max(chances)) if chances else None
        found.append(Announced(day, round((low + high) / 2, 2), low, high, None, percent))
    return found
