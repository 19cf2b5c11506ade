"""Synthetic daily weather of one station: a pure function of seed and day.

A cosine over the year, which persists from day to day, stands for the temperature of Daegu (ASOS station 143: January
near 1 °C, August near 27 °C); rain falls on a good two days in five, most of it from June to September. Real figures
are not in it.
"""

import functools
import math
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

STATION = "143"
STATION_NAME = "대구"

HEATING_BASE_CELSIUS = 18.0
COOLING_BASE_CELSIUS = 24.0

_MEAN_CELSIUS = 14.3
_SWING_CELSIUS = 13.2
_WARMEST_DAY = 209  # of the year
_ANOMALY_CELSIUS = 2.9
_PERSISTENCE = 0.72
_WET_PERSISTENCE = 0.35
_MEMORY_DAYS = 20
_WET_SHARE = (0.34, 0.35, 0.40, 0.43, 0.43, 0.50, 0.62, 0.60, 0.50, 0.34, 0.36, 0.33)
_RAIN_MM_PER_WET_DAY = (1.9, 2.5, 3.6, 5.0, 5.6, 8.5, 12.0, 12.5, 9.0, 4.8, 3.2, 1.5)
_MISSING_SHARE = 0.006


class Day(NamedTuple):
    """The weather of one day.

    Attributes:
        day: The day.
        mean_celsius: Mean air temperature.
        min_celsius: Lowest.
        max_celsius: Highest.
        rain_mm: Precipitation; None: none fell. 0.0 is a trace.
        snow_cm: New snow; None: none.
        humidity_percent: Mean relative humidity.
        wind_metres_per_second: Mean wind speed.
        sunshine_hours: Sunshine.
        possible_sunshine_hours: From sunrise to sunset.
        is_observed: Whether the station reported temperatures; a gap leaves them empty in the API's answer.
    """

    day: date
    mean_celsius: float
    min_celsius: float
    max_celsius: float
    rain_mm: float | None
    snow_cm: float | None
    humidity_percent: float
    wind_metres_per_second: float
    sunshine_hours: float
    possible_sunshine_hours: float
    is_observed: bool

    @property
    def heating_degree_days(self) -> float:
        """By how much the day's mean stays below 18 °C."""
        return max(0.0, HEATING_BASE_CELSIUS - self.mean_celsius)

    @property
    def cooling_degree_days(self) -> float:
        """By how much it exceeds 24 °C."""
        return max(0.0, self.mean_celsius - COOLING_BASE_CELSIUS)


class _Noise(NamedTuple):
    """Independent draws of one day: normal, normal, and four uniform ones."""

    warmth: float
    wetness: float
    amount: float
    swing: float
    wind: float
    gap: float


@functools.lru_cache(maxsize=20_000)
def _noise(seed: int, day: date) -> _Noise:
    draw = Random(f"{seed} weather {day}")
    return _Noise(draw.gauss(0, 1), draw.gauss(0, 1), draw.random(), draw.random(), draw.random(), draw.random())


def _persistent(seed: int, day: date, part: int, persistence: float) -> float:
    """A standard normal that resembles the day before's: a moving average of the last days' independent draws."""
    weights = [persistence**age for age in range(_MEMORY_DAYS)]
    total = sum(weight * _noise(seed, day - timedelta(days=age))[part] for age, weight in enumerate(weights))
    return total / math.sqrt(sum(weight * weight for weight in weights))


@functools.lru_cache(maxsize=20_000)
def on(seed: int, day: date) -> Day:
    """The weather of a day."""
    noise = _noise(seed, day)
    month = day.month - 1
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - _WARMEST_DAY) / 365.25)
    warmth = _persistent(seed, day, 0, _PERSISTENCE)
    # A normal's share below x, by the error function: wet on that share of the month's days.
    wetness = 0.5 * (1 + math.erf(_persistent(seed, day, 1, _WET_PERSISTENCE) / math.sqrt(2)))
    wet = wetness < _WET_SHARE[month]
    # Summers vary less than winters.
    mean = (
        _MEAN_CELSIUS + _SWING_CELSIUS * season + warmth * _ANOMALY_CELSIUS * (1 - 0.25 * season) - (0.8 if wet else 0)
    )
    rain = None
    if wet:
        mean_mm = _RAIN_MM_PER_WET_DAY[month]
        rain = 0.0 if noise.amount < 0.12 else round(-mean_mm * 1.15 * math.log(1 - noise.amount * 0.999), 1)
    snow = round(rain * 0.8, 1) if rain and mean < 0.5 else None
    swing = (5.5 if wet else 10.0) + 4.0 * noise.swing
    possible = 12.1 + 2.4 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 172) / 365.25)
    return Day(
        day=day,
        mean_celsius=round(mean, 1),
        min_celsius=round(mean - swing * 0.48, 1),
        max_celsius=round(mean + swing * 0.52, 1),
        rain_mm=rain,
        snow_cm=snow,
        humidity_percent=round(min(98.0, (74 if wet else 52) + 8 * season + 14 * (noise.swing - 0.5)), 1),
        wind_metres_per_second=round(1.0 + 3.2 * noise.wind * noise.wind, 1),
        sunshine_hours=round(possible * (0.25 if wet else 0.78) * (0.6 + 0.4 * noise.swing), 1),
        possible_sunshine_hours=round(possible, 1),
        is_observed=noise.gap >= _MISSING_SHARE,
    )


def between(seed: int, first: date, last: date) -> Iterator[Day]:
    """The weather of each day from first to last."""
    for number in range((last - first).days + 1):
        yield on(seed, first + timedelta(days=number))


@functools.lru_cache(maxsize=4_000)
def degree_days(seed: int, first: date, last: date) -> tuple[float, float]:
    """Heating and cooling degree days from first to last, by what the weather was, observed or not."""
    days = list(between(seed, first, last))
    return sum(day.heating_degree_days for day in days), sum(day.cooling_degree_days for day in days)
