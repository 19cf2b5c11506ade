"""Prediction intervals by rolling conformal prediction: as wide as forecasts have really missed.

A miss is divided by what was to be expected of it: the entity's own noise, and what not knowing the weather costs at
that horizon in that season. The quantiles of these scores, signed, are then the interval, and they cover as often in
the future as they did in the past. Days whose weather is known have a quantile of their own: there a month's level is
what is wrong, which drifts, so that old misses say little of it.

All entities share their weather, and it lasts for days: thousands of misses of a quarter are a dozen spells of weather.
While there are few spells, the quantiles are drawn to those of the normal distribution, which is what the scores had
if their standard errors said all. And they share what is wrong of a month's level: a few months tell little of how far
levels err, so intervals are wider by Student's distribution with as many degrees of freedom (docs/decisions/0068).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from scipy.special import stdtrit

from forecast.weather import Flags, Floats

# How many spells of weather the normal distribution counts for.
PRIOR_SPELLS = 30
SPELLS_PER_MONTH = 5
# A miss with known weather counts half after so many days; chosen on seeds 101 to 103 and 106 to 108
# (docs/decisions/0014).
HALF_LIFE_DAYS = 60


@dataclass(frozen=True)
class Intervals:
    """How far forecasts of one scope miss.

    Attributes:
        noise: the standard error relative to the forecast when the weather is known, as large as it may well be.
        known: the quantile of the scores' sizes when the weather is known.
        below: the lower quantile of the scores when it is not, for all horizons together: the weather's part of a score
            has taken the horizon out of it.
        above: the upper one.
    """

    noise: float
    known: float
    below: float
    above: float

    @classmethod
    def of(
        cls,
        actual: Floats,
        forecast: Floats,
        weather_sigma: Floats,
        observed: Floats,
        age: Floats,
        *,
        nominal: float,
        spells: float,
    ) -> Self:
        """From past forecasts, arrays of one shape.

        Args:
            actual: what came; NaN where that is not known.
            forecast: what had been forecast.
            weather_sigma: its standard error by the weather.
            observed: what the model says once the weather is known.
            age: how many days ago.
            nominal: the share of days that the interval is to cover.
            spells: how many spells of weather they saw.

        Raises:
            ValueError: nothing has come yet.
        """
        there = np.isfinite(actual)
        if not there.any():
            msg = "nothing has come yet of what was forecast"
            raise ValueError(msg)
        actual, forecast, weather_sigma, observed, age = (
            part[there] for part in (actual, forecast, weather_sigma, observed, age)
        )
        tail = (1 + nominal) / 2
        normal = NormalDist().inv_cdf(tail)
        wider = float(stdtrit(max(spells / SPELLS_PER_MONTH, 1), tail)) / normal
        noise = wider * float(np.sqrt(np.mean(((actual - observed) / np.maximum(observed, 1e-9)) ** 2)))
        weights = 0.5 ** (age / HALF_LIFE_DAYS)
        known = wider * _quantile(np.abs(actual - observed) / sigma(observed, 0.0, noise), nominal, weights)
        ahead = (actual - forecast) / sigma(forecast, weather_sigma, noise)
        below, above = (
            (spells * _quantile(side, tail, np.ones(len(side))) + PRIOR_SPELLS * normal) / (spells + PRIOR_SPELLS)
            for side in (-ahead, ahead)
        )
        return cls(noise, known, -below, above)

    def around(self, forecast: Floats, weather_sigma: Floats, observed: Flags) -> tuple[Floats, Floats]:
        """Lower and upper bounds of forecasts (entities, days); `observed`: whether a day's weather is known."""
        width = sigma(forecast, weather_sigma, self.noise)
        lower = forecast + np.where(observed, -self.known, self.below) * width
        upper = forecast + np.where(observed, self.known, self.above) * width
        return np.clip(lower, 0, forecast), np.maximum(upper, forecast)


def sigma(forecast: Floats, weather_sigma: Floats | float, noise: float) -> Floats:
    """What a forecast is expected to miss by, from its own noise and that of the weather."""
    return np.maximum(np.hypot(noise * forecast, weather_sigma), 1e-9)


def _quantile(scores: Floats, level: float, weights: Floats) -> float:
    """The finite-sample quantile of conformal prediction: no interval is claimed narrower than seen."""
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) / (weights.sum() + weights.max())
    return float(scores[order[min(int(np.searchsorted(reached, level)), len(scores) - 1)]])
