"""Daily weather, its degree days, and what can be expected of days whose weather is not known.

Heating degree days count below 18 C, cooling degree days above 24 C of the daily mean, as the daily estimate of
emission does. A day ahead is expected at its climatological normal plus the damped latest anomaly (an AR(1) process);
because degree days bend at their base, their expectation is taken over the error of that temperature, not at its mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

HEATING_BASE_CELSIUS = 18.0
COOLING_BASE_CELSIUS = 24.0
HARMONICS = 2
# Less than a year says nothing of the seasons.
MIN_DAYS = 365

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int_]


@dataclass(frozen=True, eq=False)
class Weather:
    """One station's days without a gap: mean, minimum and maximum in C, rain in mm."""

    days: Days
    mean: Floats
    low: Floats
    high: Floats
    rain: Floats

    @classmethod
    def of(cls, rows: Iterable[tuple[date, float | None, float | None, float | None, float | None]]) -> Self:
        """From rows (day, mean, minimum, maximum, rain) in any order; what is missing within is interpolated.

        Raises:
            ValueError: no day has a mean temperature.
        """
        known = {np.datetime64(day, "D"): values for day, *values in rows if values[0] is not None}
        if not known:
            msg = "no day has a mean temperature"
            raise ValueError(msg)
        there = np.array(sorted(known))
        days = np.arange(there[0], there[-1] + 1)
        columns = np.array([known[day] for day in there], dtype=float).T

        position, known_at = ((part - days[0]).astype(float) for part in (days, there))

        def filled(column: Floats, otherwise: Floats) -> Floats:
            fine = np.isfinite(column)
            return np.interp(position, known_at[fine], column[fine]) if fine.any() else otherwise

        mean = np.interp(position, known_at, columns[0])
        low, high = (filled(column, mean) for column in columns[1:3])
        rain = np.zeros(len(days))
        rain[(there - days[0]).astype(int)] = np.nan_to_num(columns[3])
        return cls(days, mean, np.minimum(low, mean), np.maximum(high, mean), rain)

    def before(self, day: np.datetime64) -> "Weather":
        """What was known on the morning of `day`."""
        count = int(np.searchsorted(self.days, day))
        return Weather(self.days[:count], *(part[:count] for part in (self.mean, self.low, self.high, self.rain)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weather):
            return NotImplemented
        return all(np.array_equal(*parts) for parts in zip(vars(self).values(), vars(other).values(), strict=True))

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True)
class Outlook:
    """Weather of consecutive days, known or expected.

    Attributes:
        sigma: the standard error of `mean`; 0 where it was observed.
        hdd, cdd: (expected) degree days; `hdd_sigma`, `cdd_sigma` their standard errors.
        rain: mm, or the normal.
        week: the mean temperature of the seven days up to and with each day.
    """

    days: Days
    mean: Floats
    low: Floats
    high: Floats
    rain: Floats
    sigma: Floats
    hdd: Floats
    hdd_sigma: Floats
    cdd: Floats
    cdd_sigma: Floats
    yesterday: Floats
    week: Floats

    def part(self, first: np.datetime64, end: np.datetime64) -> "Outlook":
        """The days from `first` to before `end`."""
        chosen = slice(*np.searchsorted(self.days, [first, end]))
        return Outlook(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Climate:
    """What is normal at a time of year, and how long and how far the weather strays from it.

    Attributes:
        coefficients: of the yearly waves, one column each for mean, swing below, swing above, rain.
        variance: of the first yearly wave, for the square of the daily mean's anomaly: winters vary more than summers.
        persistence: how much of an anomaly is left after a day, 0 to 1.
        normal_sigma: the standard error of the normal itself as a share of the anomaly's standard deviation: it is
            known from a few years of anomalies that last for days.
    """

    coefficients: Floats
    variance: Floats
    persistence: float
    normal_sigma: float

    @classmethod
    def of(cls, weather: Weather) -> Self:
        """The climate of a history: its mean by day of year, smoothed to a few yearly waves.

        Raises:
            ValueError: the history is shorter than a year.
        """
        if len(weather) < MIN_DAYS:
            msg = f"{len(weather)} days of weather say nothing of the seasons; {MIN_DAYS} are needed"
            raise ValueError(msg)
        waves = _waves(weather.days)
        columns = np.stack(
            [weather.mean, weather.mean - weather.low, weather.high - weather.mean, weather.rain], axis=1
        )
        coefficients = np.linalg.lstsq(waves, columns, rcond=None)[0]
        anomaly = weather.mean - waves @ coefficients[:, 0]
        persistence = float(np.clip(anomaly[1:] @ anomaly[:-1] / (anomaly @ anomaly), 0, 0.99))
        # So many independent days say as much as these.
        worth = len(weather) * (1 - persistence) / (1 + persistence)
        used = waves.shape[1]
        variance = np.linalg.lstsq(waves[:, :3], anomaly**2, rcond=None)[0] * worth / max(worth - used, 1)
        return cls(coefficients, variance, persistence, float(np.sqrt(used / worth)))

    def sigma(self, days: Days) -> Floats:
        """The standard deviation of the daily mean's anomaly, C."""
        # A wave fitted to few winters may dip too low.
        sigma: Floats = np.sqrt(np.maximum(_waves(days)[:, :3] @ self.variance, self.variance[0] / 4))
        return sigma

    def outlook(self, known: Weather, ahead: int) -> Outlook:
        """The known days as they were, and `ahead` days after them as they can be expected."""
        days = np.arange(known.days[0], known.days[-1] + 1 + ahead)
        normal, below, above, rain = (_waves(days) @ self.coefficients).T
        horizon = np.maximum(np.arange(len(days)) - len(known) + 1, 0)
        latest = known.mean[-1] - normal[len(known) - 1]
        expected = normal + latest * self.persistence**horizon
        mean = np.concatenate([known.mean, expected[len(known) :]])
        faded = 1 - self.persistence**horizon
        share = np.hypot(np.sqrt(1 - self.persistence ** (2 * horizon)), self.normal_sigma * faded)
        sigma = self.sigma(days) * share
        hdd, hdd_sigma = degree_days(HEATING_BASE_CELSIUS - mean, sigma)
        cdd, cdd_sigma = degree_days(mean - COOLING_BASE_CELSIUS, sigma)
        back = np.concatenate([np.full(7, mean[0]), mean])
        total = np.cumsum(back)
        return Outlook(
            days=days,
            mean=mean,
            low=np.concatenate([known.low, (expected - below)[len(known) :]]),
            high=np.concatenate([known.high, (expected + above)[len(known) :]]),
            rain=np.concatenate([known.rain, np.maximum(rain, 0)[len(known) :]]),
            sigma=sigma,
            hdd=hdd,
            hdd_sigma=hdd_sigma,
            cdd=cdd,
            cdd_sigma=cdd_sigma,
            yesterday=back[6:-1],
            week=(total[7:] - total[:-7]) / 7,
        )


def degree_days(excess: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of max(x, 0) for normal x with these means and standard deviations."""
    safe = np.where(sigma > 0, sigma, 1)
    z = excess / safe
    density, below = np.exp(-z * z / 2) / np.sqrt(2 * np.pi), _below(z)
    mean = np.where(sigma > 0, excess * below + safe * density, np.maximum(excess, 0))
    square = (excess**2 + sigma**2) * below + excess * sigma * density
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return mean, np.where(sigma > 0, spread, 0)


def _below(z: Floats) -> Floats:
    """The standard normal distribution."""
    return np.array([NormalDist().cdf(float(value)) for value in z])


def _waves(days: Days) -> Floats:
    """One, and sine and cosine of the yearly waves: an array (days, 1 + 2 x HARMONICS)."""
    year = days.astype("datetime64[Y]")
    length = ((year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")).astype(float)
    phase = 2 * np.pi * (days - year.astype("datetime64[D]")).astype(float) / length
    waves = [trig(number * phase) for number in range(1, HARMONICS + 1) for trig in (np.cos, np.sin)]
    return np.stack([np.ones(len(days)), *waves], axis=1)
