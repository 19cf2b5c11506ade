"""Synthetic weather forecasts: the day as it will be, plus an error that grows with the horizon and fades with news.

News of a day comes twice a day, and each takes its part of the error away: so two issues in a row say nearly the same,
and what is issued at one time errs on neighbouring days in the same direction. Pure functions of seed, issue and day.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import NamedTuple

from apis import kma
from generators.simulator.carbon import weather

# The variance that is always left (C2), and that after k half-days k (k + 1) times as much as the second adds.
_LEAST_VARIANCE = 0.5
_MORE_PER_STEP = 0.022
# The share of news that all days have in common.
_COMMON = 0.4
_SWING_ERROR = 0.5
_MASKED = "-999"
_HOURS = 24
_STEP = 3
_WARMEST_HOUR = 15
# When the extremes of a day stand, and until which hour's issues those of the running day do.
_MINIMUM_AT, _MAXIMUM_AT = 6, 15
_MINIMUM_ISSUED_BEFORE, _MAXIMUM_ISSUED_BEFORE = 5, 14


class Said(NamedTuple):
    """What an issue says of a day: C, mm, and the probability of rain in per cent."""

    mean: float
    low: float
    high: float
    rain: float
    percent: int


@functools.lru_cache(maxsize=50_000)
def said(seed: int, issued: datetime, day: date) -> Said:
    """A day as an issue (a time of Korea) has it."""
    truth = weather.on(seed, day)
    steps = 2 * (day - issued.date()).days + (issued.hour < _HOURS / 2)
    half_days = 2 * day.toordinal()
    error = math.sqrt(_LEAST_VARIANCE) * _draw(seed, "place", day.toordinal())
    for step in range(1, steps + 1):
        news = half_days - step
        common, own = _draw(seed, "news", news), _draw(seed, f"news of {day}", news)
        size = math.sqrt(_MORE_PER_STEP * 2 * step)
        error += size * (math.sqrt(_COMMON) * common + math.sqrt(1 - _COMMON) * own)
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 209) / 365.25)
    error *= 1 - 0.25 * season  # as much less in summer as the weather varies less
    draw = Random(f"{seed} said {half_days - steps} {day}")
    right = draw.random() < 0.95 - 0.04 * steps
    rain = (truth if right else weather.on(seed + 1, day)).rain_mm
    percent = draw.choice((60, 70, 80, 90) if rain is not None else (0, 10, 20, 30))
    return Said(
        mean=truth.mean_celsius + error,
        low=truth.min_celsius + error + _SWING_ERROR * draw.gauss(0, 1),
        high=truth.max_celsius + error + _SWING_ERROR * draw.gauss(0, 1),
        rain=rain or 0.0,
        percent=percent,
    )


@functools.lru_cache(maxsize=50_000)
def _draw(seed: int, what: str, number: int) -> float:
    return Random(f"{seed} {what} {number}").gauss(0, 1)


def short_term(seed: int, issued: datetime, nx: int, ny: int, masked_share: float) -> list[Mapping[str, object]]:
    """The items of getVilageFcst: twelve per slot, and the extremes of days."""
    found: list[Mapping[str, object]] = []
    first, last = kma.SHORT.reach(issued)
    begin = issued.replace(tzinfo=None)
    end = datetime.combine(last + timedelta(days=1), datetime.min.time())
    for at in _slots(begin, last, end):
        day, extended = at.date(), at.date() >= last
        values = _slot(seed, issued, at, extended)
        if Random(f"{seed} masked {issued} {at}").random() < masked_share:
            values |= {name: _MASKED for name in ("TMP", "POP", "REH")}
        shown = said(seed, issued, day)
        if at.hour == _MINIMUM_AT and (day > first or begin.hour < _MINIMUM_ISSUED_BEFORE):
            values["TMN"] = f"{shown.low:.1f}"
        if at.hour == _MAXIMUM_AT and (day > first or begin.hour < _MAXIMUM_ISSUED_BEFORE):
            values["TMX"] = f"{shown.high:.1f}"
        about = {"baseDate": f"{issued:%Y%m%d}", "baseTime": f"{issued:%H%M}"}
        when = {"fcstDate": f"{at:%Y%m%d}", "fcstTime": f"{at:%H%M}"}
        found += [
            {**about, "category": name, **when, "fcstValue": value, "nx": nx, "ny": ny}
            for name, value in values.items()
        ]
    return found


def _slots(begin: datetime, last: date, end: datetime) -> Iterator[datetime]:
    """Each hour after the issue, and of the last day and its end every third."""
    at = begin + timedelta(hours=1)
    while at <= end:
        yield at
        at += timedelta(hours=_STEP if at.date() >= last else 1)


def _slot(seed: int, issued: datetime, at: datetime, extended: bool) -> dict[str, str]:
    shown = said(seed, issued, at.date())
    wave = math.cos(2 * math.pi * (at.hour - _WARMEST_HOUR) / _HOURS)
    celsius = shown.mean + (shown.high - shown.low) / 2 * wave
    wet = shown.percent >= 60
    rain = shown.rain / _HOURS
    wind = 1.0 + (_draw(seed, "wind", at.toordinal()) % 3)
    snows = wet and celsius < 0.5
    return {
        "TMP": f"{celsius:.0f}",
        "UUU": f"{wind * 0.8:.1f}",
        "VVV": f"{wind * -0.6:.1f}",
        "VEC": "307",
        "WSD": str(1 + (wind >= 4) + (wind >= 9)) if extended else f"{wind:.1f}",
        "SKY": "4" if wet else "1",
        "PTY": ("3" if snows else "1") if wet and rain else "0",
        "POP": f"{shown.percent}",
        "WAV": "0",
        "PCP": _rain(rain, extended),
        "REH": "80" if wet else "55",
        "SNO": _snow(rain * 0.8 if snows else 0, extended),
    }


def _rain(millimetres: float, extended: bool) -> str:
    if extended:
        return "0" if not millimetres else str(1 + (millimetres >= 3) + (millimetres >= 15))
    if not millimetres:
        return "강수없음"
    if millimetres < 1:
        return "1mm 미만"
    if millimetres < 30:
        return f"{millimetres:.1f}mm"
    return "30.0~50.0mm" if millimetres < 50 else "50.0mm 이상"


def _snow(centimetres: float, extended: bool) -> str:
    if extended:
        return "0" if not centimetres else str(1 + (centimetres >= 1))
    if not centimetres:
        return "적설없음"
    if centimetres < 0.5:
        return "0.5cm 미만"
    return f"{centimetres:.1f}cm" if centimetres < 5 else "5.0cm 이상"


def _days(issued: datetime) -> Sequence[tuple[int, date]]:
    first, last = kma.MID.reach(issued)
    return [((first - issued.date()).days + n, first + timedelta(days=n)) for n in range((last - first).days + 1)]


def temperatures(seed: int, issued: datetime, region: str) -> dict[str, object]:
    """The item of getMidTa."""
    item: dict[str, object] = {"regId": region}
    for ahead, day in _days(issued):
        shown, band = said(seed, issued, day), (ahead - 1) // 3
        for name, celsius in (("taMin", shown.low), ("taMax", shown.high)):
            item |= {f"{name}{ahead}": round(celsius), f"{name}{ahead}Low": band - 1, f"{name}{ahead}High": band}
    return item


def lands(seed: int, issued: datetime, region: str) -> dict[str, object]:
    """The item of getMidLandFcst: rain in per cent and a word for the weather, up to the seventh day by half-days."""
    item: dict[str, object] = {"regId": region}
    for ahead, day in _days(issued):
        shown = said(seed, issued, day)
        word = "흐리고 비" if shown.percent >= 60 else "구름많음" if shown.percent >= 30 else "맑음"
        for half in ("Am", "Pm") if ahead <= 7 else ("",):
            item |= {f"rnSt{ahead}{half}": shown.percent, f"wf{ahead}{half}": word}
    return item
