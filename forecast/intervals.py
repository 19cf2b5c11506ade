"""Prediction intervals by rolling conformal prediction: as wide as forecasts have really missed.

A miss is divided by what was to be expected of it: the entity's own noise, and what not knowing the weather costs at
that horizon in that season. The quantiles of these scores, signed, are then the interval, and they cover as often in
the future as they did in the past.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from forecast.weather import Floats, Places


@dataclass(frozen=True)
class Intervals:
    """How far forecasts of one scope miss.

    Attributes:
        noise: the standard error relative to the forecast when the weather is known.
        below, above: signed quantiles of the scores, by horizon in days; index 0: the weather is known.
    """

    noise: float
    below: Floats
    above: Floats

    @classmethod
    def of(cls, actual: Floats, forecast: Floats, weather_sigma: Floats, observed: Floats, nominal: float) -> Self:
        """From past forecasts.

        Args:
            actual: what came, an array (cases, horizons); NaN where that is not known.
            forecast: what had been forecast, in the same shape.
            weather_sigma: its standard error by the weather, in the same shape.
            observed: what the model says once the weather is known, in the same shape.
            nominal: the share of days that the interval is to cover.
        """
        relative = (actual - observed)[np.isfinite(actual)] / np.maximum(observed[np.isfinite(actual)], 1e-9)
        noise = max(float(np.sqrt(np.mean(relative**2))), 1e-6)
        known = (actual - observed) / sigma(observed, 0.0, noise)
        ahead = (actual - forecast) / sigma(forecast, weather_sigma, noise)
        columns = [known.ravel(), *ahead.T]
        tail = (1 - nominal) / 2
        below = np.array([-_quantile(-column, 1 - tail) for column in columns])
        above = np.array([_quantile(column, 1 - tail) for column in columns])
        return cls(noise, below, above)

    def around(self, forecast: Floats, weather_sigma: Floats, horizon: Places) -> tuple[Floats, Floats]:
        """Lower and upper bound of forecasts (entities, days) at these horizons (days); 0: the weather is known."""
        width = sigma(forecast, weather_sigma, self.noise)
        at = np.clip(horizon, 0, len(self.below) - 1)
        lower, upper = forecast + self.below[at] * width, forecast + self.above[at] * width
        return np.clip(lower, 0, forecast), np.maximum(upper, forecast)


def sigma(forecast: Floats, weather_sigma: Floats | float, noise: float) -> Floats:
    """What a forecast is expected to miss by, from its own noise and that of the weather."""
    return np.maximum(np.hypot(noise * forecast, weather_sigma), 1e-9)


def _quantile(scores: Floats, level: float) -> float:
    """The finite-sample quantile of conformal prediction: no interval is claimed narrower than seen."""
    known = np.sort(scores[np.isfinite(scores)])
    position = int(np.ceil((len(known) + 1) * level)) - 1
    return float(known[min(position, len(known) - 1)])
