"""Daily weather, its degree days, and what can be expected of days whose weather is not known.

Heating degree days count below 18 C, cooling degree days above 24 C of the daily mean, as the daily estimate of
emission does. A day ahead is expected at its climatological normal plus the damped latest anomaly (an AR(1) process),
and at what weather forecasts say of it where they do: both count by how far they miss (docs/decisions/0067). Because
degree days bend at their base, their expectation is taken over the error of that temperature, not at its mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

HEATING_BASE_CELSIUS = 18.0
COOLING_BASE_CELSIUS = 24.0
HARMONICS = 2
NOON_IN_UTC = 3 / 24
# Less than a year says nothing of the seasons.
MIN_DAYS = 365

# Where a day's weather is from, as rows and answers name it; an outlook has the positions of these words.
SOURCES = ("observed", "forecast", "mid-term", "normal")
OBSERVED, FORECAST, MID_TERM, NORMAL = range(len(SOURCES))
# The kinds of weather forecasts, by what they are called there.
KINDS = {"short-term": FORECAST, "mid-term": MID_TERM}

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int_]


class _Columns:
    """Arrays of one length; equal where all are."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return all(np.array_equal(own, its, equal_nan=own.dtype.kind == "f") for own, its in parts)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))


@dataclass(frozen=True, eq=False)
class Weather(_Columns):
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


@dataclass(frozen=True, eq=False)
class Announced(_Columns):
    """What issues of weather forecasts said of a station's days, one row each, oldest issues first.

    Attributes:
        issued: when, in UTC.
        sources: FORECAST or MID_TERM.
        days: what it is about.
        mean, low, high: C.
        rain: mm; NaN where the issue does not tell.
    """

    issued: Days
    sources: Places
    days: Days
    mean: Floats
    low: Floats
    high: Floats
    rain: Floats

    @classmethod
    def of(cls, rows: Iterable[tuple[str, datetime, date, float, float, float, float | None]]) -> Self:
        """From rows (kind, time of the issue, day, mean, minimum, maximum, rain) in any order."""
        ordered = sorted(rows, key=lambda row: row[1])
        issued = [row[1].astimezone(UTC).replace(tzinfo=None) for row in ordered]
        mean, low, high, rain = (np.array([row[number] for row in ordered], dtype=float) for number in range(3, 7))
        return cls(
            np.array(issued, dtype="datetime64[s]"),
            np.array([KINDS[row[0]] for row in ordered], dtype=int),
            np.array([row[2] for row in ordered], dtype="datetime64[D]"),
            *(mean, low, high, rain),
        )

    @property
    def leads(self) -> Floats:
        """From each issue to the noon (in Korea) of its day, in days."""
        leads: Floats = (self.days - self.issued) / np.timedelta64(1, "D") + NOON_IN_UTC
        return leads

    def before(self, day: np.datetime64) -> "Announced":
        """What was known on the morning of `day`: issues until nine in Korea, which is midnight in UTC."""
        return self._rows(np.arange(np.searchsorted(self.issued, day.astype("datetime64[s]"), side="right")))

    def newest(self, first: np.datetime64, days: int) -> "Announced":
        """Of each of so many days at most one row: the newest short-term issue, or else the newest mid-term one."""
        rank = np.where(self.sources == FORECAST, len(self), 0) + np.arange(len(self))
        there = np.flatnonzero((self.days >= first) & (self.days < first + days))
        there = there[np.argsort(rank[there])]
        best = {int(day): place for day, place in zip(self.days[there].astype(int), there, strict=True)}
        return self._rows(np.array([best[day] for day in sorted(best)], dtype=int))

    @property
    def learnt(self) -> int:
        """Grows with every issue: the hours of the newest one of each kind, since 1970."""
        hours = self.issued.astype("datetime64[h]").astype(int)
        return sum(int(hours[self.sources == kind].max(initial=0)) for kind in KINDS.values())

    def _rows(self, chosen: Places) -> "Announced":
        return Announced(**{name: values[chosen] for name, values in vars(self).items()})


NOTHING_ANNOUNCED = Announced.of([])


@dataclass(frozen=True)
class Outlook:
    """Weather of consecutive days, known or expected.

    Attributes:
        sources: where each is from, as positions in SOURCES.
        sigma: the standard error of `mean`; 0 where it was observed.
        hdd, cdd: (expected) degree days; `hdd_sigma`, `cdd_sigma` their standard errors.
        rain: mm, or the normal.
        week: the mean temperature of the seven days up to and with each day.
    """

    days: Days
    sources: Places
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

    def varies(self, days: Days) -> Floats:
        """How many times as much as in the mean of the year the weather varies then."""
        varies: Floats = self.sigma(days) / np.sqrt(self.variance[0])
        return varies

    def outlook(
        self, known: Weather, ahead: int, announced: Announced = NOTHING_ANNOUNCED, skill: "Skill | None" = None
    ) -> Outlook:
        """The known days as they were, and `ahead` days after them as they can be expected.

        Args:
            known: without a gap.
            ahead: how many days more.
            announced: what forecasts said of them, each counting by how far it and what is normal miss.
            skill: how far forecasts miss; None: as is typical.
        """
        count = len(known)
        days = np.arange(known.days[0], known.days[-1] + 1 + ahead)
        normal, below, above, rain = (_waves(days) @ self.coefficients).T
        rain = np.maximum(rain, 0)
        horizon = np.maximum(np.arange(len(days)) - count + 1, 0)
        latest = known.mean[-1] - normal[count - 1]
        mean = normal + latest * self.persistence**horizon
        faded = 1 - self.persistence**horizon
        share = np.hypot(np.sqrt(1 - self.persistence ** (2 * horizon)), self.normal_sigma * faded)
        sigma = self.sigma(days) * share
        sources = np.where(horizon > 0, NORMAL, OBSERVED)

        said = announced.newest(known.days[-1] + 1, ahead)
        at = (said.days - days[0]).astype(int)
        error = (skill or TYPICAL).sigma(said.leads) * self.varies(said.days)
        counts = sigma[at] ** 2 / (sigma[at] ** 2 + error**2)
        mean[at] += counts * (said.mean - mean[at])
        sigma[at] *= np.sqrt(1 - counts)
        below[at], above[at] = said.mean - said.low, said.high - said.mean
        rain[at] = np.where(np.isfinite(said.rain), said.rain, rain[at])
        sources[at] = said.sources

        low, high = mean - below, mean + above
        for part, measured in zip(
            (mean, low, high, rain), (known.mean, known.low, known.high, known.rain), strict=True
        ):
            part[:count] = measured
        hdd, hdd_sigma = degree_days(HEATING_BASE_CELSIUS - mean, sigma)
        cdd, cdd_sigma = degree_days(mean - COOLING_BASE_CELSIUS, sigma)
        back = np.concatenate([np.full(7, mean[0]), mean])
        total = np.cumsum(back)
        return Outlook(
            days=days,
            sources=sources,
            mean=mean,
            low=low,
            high=high,
            rain=rain,
            sigma=sigma,
            hdd=hdd,
            hdd_sigma=hdd_sigma,
            cdd=cdd,
            cdd_sigma=cdd_sigma,
            yesterday=back[6:-1],
            week=(total[7:] - total[:-7]) / 7,
        )


@dataclass(frozen=True)
class Skill:
    """How far weather forecasts miss the daily mean, where the weather varies as in the mean of the year: C.

    Attributes:
        base: the standard error of what is said of a moment.
        growth: by how much it grows per day ahead.
    """

    base: float
    growth: float

    @classmethod
    def of(cls, announced: Announced, weather: Weather, climate: Climate) -> Self:
        """From what was announced of days that have come; the fewer those are, the nearer to what is typical."""
        come = (announced.days >= weather.days[0]) & (announced.days <= weather.days[-1])
        days, leads, said = announced.days[come], announced.leads[come], announced.mean[come]
        missed = (said - weather.mean[(days - weather.days[0]).astype(int)]) / climate.varies(days)
        typical = TYPICAL.sigma(LEADS)
        variance, weight = np.empty(len(LEADS)), np.empty(len(LEADS))
        for number, lead in enumerate(LEADS):
            here = np.abs(leads - lead) <= 0.5
            weight[number] = len(np.unique(days[here]))
            mean = np.mean(missed[here] ** 2) if here.any() else 0.0
            variance[number] = weight[number] * mean + TYPICAL_DAYS * typical[number] ** 2
        weight += TYPICAL_DAYS
        growth, base = np.polyfit(LEADS, np.sqrt(variance / weight), 1, w=np.sqrt(weight))
        return cls(max(float(base), LEAST_CELSIUS), max(float(growth), 0.0))

    def sigma(self, leads: Floats) -> Floats:
        """The standard error so many days ahead."""
        return self.base + self.growth * np.maximum(leads, 0)


# Before any was seen: some 1 C of tomorrow, 3 C of the tenth day. An assumption, which counts as so many days.
TYPICAL = Skill(0.8, 0.23)
TYPICAL_DAYS = 30
LEADS = np.arange(11.0)
LEAST_CELSIUS = 0.3


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
