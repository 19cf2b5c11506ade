"""A synthetic city for tests of the forecast: weather, monthly use per complex, and its emission spread over days.

Made as the real tables are made, and independently of the project's own code: what a complex uses in a month follows
its households, its way of heating, the month's degree days, a trend and noise; only whole months become known, each
complex so many months late; a month's emission is then spread over its days by degree days. Nothing of a day's own
consumption is in it, as nothing of it is in the public data.
"""

import functools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from forecast.forecaster import Forecaster
from forecast.history import History
from forecast.rolling import replay
from forecast.weather import Announced, Weather

REGIONS = ("27110", "27140", "27170", "27200", "27230", "27260", "27290", "27710", "27720")
# kg CO2 per kWh, m3 of gas, m3 of water.
FACTORS = {"electricity": 0.4541, "gas": 2.24, "water": 0.332}


@dataclass(frozen=True)
class City:
    """What the tables hold.

    Attributes:
        weather: daily, up to yesterday.
        regions, households: of each complex.
        kg: kg CO2 per complex and month, item by item: arrays (complexes, months); NaN where nobody entered it or it
            is not published yet.
        months: the first day of each month.
        daily: kg CO2 per complex and day; NaN where unknown.
    """

    weather: Weather
    regions: list[str]
    households: np.ndarray
    kg: dict[str, np.ndarray]
    months: list[date]
    daily: np.ndarray

    @property
    def ids(self) -> list[str]:
        """The complexes' ids."""
        return [f"A{number:08}" for number in range(1, len(self.regions) + 1)]

    @property
    def history(self) -> History:
        """The same as the forecast reads it: months in which an item is missing are left out."""
        usual = sum(np.isfinite(item) for item in self.kg.values())
        whole = usual == usual.max(axis=1, keepdims=True)
        month_of = np.array([self.months.index(day.astype(object).replace(day=1)) for day in self.weather.days])
        return History(
            self.weather.days,
            self.ids,
            list(self.regions),
            self.households.astype(float),
            np.where(whole[:, month_of], self.daily, np.nan),
        )


def city(seed: int, *, complexes: int = 60, first: date = date(2024, 5, 1), today: date = date(2026, 11, 21)) -> City:
    """A city whose past reaches from `first` to the day before `today`."""
    dice = np.random.default_rng(seed)
    weather = synthetic_weather(dice, first, today)
    days = weather.days
    months = sorted({day.astype(object).replace(day=1) for day in days})
    month_of = np.array([months.index(day.astype(object).replace(day=1)) for day in days])
    heating = np.maximum(18 - weather.mean, 0)
    cooling = np.maximum(weather.mean - 24, 0)
    per_month = lambda values: np.array([values[month_of == month].sum() for month in range(len(months))])  # noqa: E731
    length, hdd, cdd = per_month(np.ones(len(days))), per_month(heating), per_month(cooling)

    households = dice.integers(80, 1500, complexes)
    district = dice.random(complexes) < 0.25  # heated by district heat, which is not counted: little gas
    years = np.arange(len(months)) / 12
    # Savers use a little less every month since some month; the others drift by a percent or so a year.
    began = dice.integers(0, len(months), complexes)
    saving = np.where(dice.random(complexes) < 0.15, dice.uniform(0.02, 0.12, complexes), 0)
    trend = (
        1
        + dice.normal(0, 0.01, complexes)[:, None] * years
        - saving[:, None] * (np.arange(len(months)) >= began[:, None])
    )
    winter = 1 + 0.06 * np.cos(2 * np.pi * (np.array([month.month for month in months]) - 1) / 12)

    def used(base: float, per_hdd: float | np.ndarray, per_cdd: float, noise: float) -> np.ndarray:
        level = dice.lognormal(0, 0.12, complexes)[:, None]
        monthly = np.multiply.outer(np.ones(complexes), base * length + per_cdd * cdd)
        monthly = monthly + np.multiply.outer(np.broadcast_to(per_hdd, complexes), hdd)
        return households[:, None] * level * trend * monthly * dice.lognormal(0, noise, (complexes, len(months)))

    kg = {
        "electricity": used(7.8, 0.02, 1.1, 0.03) * winter * FACTORS["electricity"],
        "gas": used(0.30, np.where(district, 0.0, 0.13), 0.0, 0.05) * FACTORS["gas"],
        "water": used(0.52, 0.0, 0.004, 0.03) * FACTORS["water"],
    }
    spread = {
        "electricity": _shares(7.8 + 1.1 * cooling, month_of),
        "gas": _shares(0.30 + 0.13 * heating, month_of),
        "water": _shares(np.ones(len(days)), month_of),
    }
    # The running month is never known; each complex is one to four months late.
    late = dice.choice([1, 2, 3, 4], complexes, p=[0.35, 0.4, 0.2, 0.05])
    last = np.array([months.index(today.replace(day=1)) if today.replace(day=1) in months else len(months)])
    published = np.arange(len(months)) < (last - late)[:, None]
    for item in kg.values():
        item[~published] = np.nan
    kg["gas"][dice.random(kg["gas"].shape) < 0.015] = np.nan  # not entered
    daily = sum(np.nan_to_num(item)[:, month_of] * spread[name] for name, item in kg.items())
    return City(
        weather,
        list(dice.choice(REGIONS, complexes)),
        households,
        kg,
        months,
        np.where(published[:, month_of], daily, np.nan),
    )


@functools.cache
def small_city() -> City:
    """One that is small enough to learn from in a unit test."""
    return city(5, complexes=20)


@functools.cache
def trained_on_small_city() -> Forecaster:
    """What is learned of it: once per process, as it takes two seconds."""
    town = small_city()
    past = replay(town.history, town.weather)
    trained_at = datetime(2026, 11, 21, 1, tzinfo=UTC)
    return Forecaster.of(town.history, town.weather, past, nominal=0.9, trained_at=trained_at)


def synthetic_weather(dice: np.random.Generator, first: date, today: date) -> Weather:
    """Daily weather like that of Daegu: a yearly wave, and anomalies that last for some days."""
    count = (today - first).days
    days = np.array([first + timedelta(number) for number in range(count)], dtype="datetime64[D]")
    phase = 2 * np.pi * (days - days.astype("datetime64[Y]")).astype(int) / 365.25
    anomaly = np.zeros(count)
    for number in range(1, count):
        anomaly[number] = 0.72 * anomaly[number - 1] + dice.normal(0, 1.9)
    mean = 14.6 - 12.7 * np.cos(phase - 0.33) + anomaly
    swing = dice.uniform(3, 7, count)
    rain = np.where(dice.random(count) < 0.28 - 0.1 * np.cos(phase), dice.gamma(0.7, 14, count), 0.0)
    return Weather(days, mean.round(1), (mean - swing).round(1), (mean + swing).round(1), rain.round(1))


def _shares(weights: np.ndarray, month_of: np.ndarray) -> np.ndarray:
    """Each day's share of its month."""
    return weights / np.bincount(month_of, weights)[month_of]


def announced(weather: Weather, seed: int = 1) -> Announced:
    """What each morning's issues said of the days after: what came, and an error that grows with the horizon.

    The first four days are of the short-term forecast, the seven after them of the mid-term one.
    """
    dice = np.random.default_rng(seed)
    rows = []
    for number, day in enumerate(weather.days):
        issued = datetime.combine(day.astype(object), time(23), UTC) - timedelta(days=1)
        for ahead in range(min(11, len(weather) - number)):
            error = dice.normal(0, 0.8 + 0.25 * ahead)
            mean, low, high = (
                float(part[number + ahead]) + error for part in (weather.mean, weather.low, weather.high)
            )
            kind = "short-term" if ahead < 4 else "mid-term"
            rows.append((kind, issued, (day + ahead).astype(object), mean, low, high, None))
    return Announced.of(rows)
