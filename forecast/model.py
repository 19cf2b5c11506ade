"""The model: one curve of the city over weather and calendar, and how each complex differs from it.

Per household and day, emission = level x (curve(features) + deviation . signature). The curve is a ridge regression of
the city's mean. A deviation (base, heating, cooling, season) is a ridge regression of its own with the curve as its
prior, the energy signature of building physics: a complex with little history follows the city, one with much its own
past. It takes years of seasons to learn; the level follows the last months, in which a complex may have begun to save.
A region is its complexes together, which a mean over those that are known is not: every month others are missing.
Boosted trees on the same features were no better; docs/decisions/0014 has the figures.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from forecast import features
from forecast.history import History
from forecast.weather import Days, Floats, Outlook

# A day this long ago weighs half as much, for the curve and deviations, and for the level.
HALF_LIFE_DAYS = 400
LEVEL_HALF_LIFE_DAYS = 30
# How many days of the city's mean a complex's own days stand against.
PRIOR_DAYS = 10
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Fitted:
    """The model as of one day.

    Attributes:
        curve: the city's kg CO2 per household and day from `features.matrix`.
        levels: how many times the curve each entity emits; regions, then complexes.
        deviations: what is added to that, an array (entities, 5) for `features.signature`.
        heating, cooling: what a degree day costs each entity, kg CO2 per household.
    """

    curve: Pipeline
    levels: Floats
    deviations: Floats
    heating: Floats
    cooling: Floats

    @classmethod
    def of(cls, history: History, past: Outlook) -> Self:
        """Fit to what is known; `past` is the weather of the history's days."""
        weights = _weights(history.days, HALF_LIFE_DAYS)
        known = np.isfinite(history.kg)
        households = history.households @ known
        city = np.nansum(history.kg, axis=0) / np.maximum(households, 1)
        share = households / history.households.sum()
        fit = share >= 0.5
        curve = Pipeline([("scale", StandardScaler()), ("ridge", RidgeCV(alphas=PENALTIES))])
        everything = features.matrix(past)
        curve.fit(everything[fit], city[fit], ridge__sample_weight=(weights * share)[fit])

        parts = features.signature(past)
        drawn = curve.predict(everything)
        per_household = history.kg / history.households[:, None]
        deviations = _deviations(per_household - drawn, parts, weights)
        levels = _levels(per_household, drawn + deviations @ parts.T, _weights(history.days, LEVEL_HALF_LIFE_DAYS))
        deviations *= levels[:, None]
        together = history.members() * history.households
        together /= together.sum(axis=1, keepdims=True)
        levels, deviations = (np.concatenate([together @ part, part]) for part in (levels, deviations))

        year = slice(-365, None)
        shown = np.outer(drawn[year], levels) + parts[year] @ deviations.T
        slopes = np.linalg.lstsq(parts[year, :3], shown, rcond=None)[0]
        return cls(curve, levels, deviations, np.maximum(slopes[1], 0), np.maximum(slopes[2], 0))

    def per_household(self, outlook: Outlook) -> Floats:
        """Kg CO2 per household and day, an array (entities, days); never below 0."""
        curve: Floats = self.curve.predict(features.matrix(outlook))
        return np.maximum(np.outer(self.levels, curve) + self.deviations @ features.signature(outlook).T, 0)

    def weather_sigma(self, outlook: Outlook) -> Floats:
        """The standard error that comes with not knowing the weather, in the same shape."""
        heating: Floats = np.multiply.outer(self.heating, outlook.hdd_sigma)
        cooling: Floats = np.multiply.outer(self.cooling, outlook.cdd_sigma)
        return np.hypot(heating, cooling)


def _weights(days: Days, half_life: float) -> Floats:
    """How much each day counts on the last."""
    weights: Floats = 0.5 ** ((days[-1] - days).astype(float) / half_life)
    return weights


def _levels(actual: Floats, shown: Floats, weights: Floats) -> Floats:
    """How many times what is shown came, by the weights of days; 1 where nothing is known."""
    weighted = np.isfinite(actual) * weights
    came, expected = (np.nan_to_num(actual) * weighted).sum(axis=1), (shown * weighted).sum(axis=1)
    levels: Floats = np.divide(came, expected, out=np.ones_like(came), where=expected > 0)
    return levels


def _deviations(residuals: Floats, parts: Floats, weights: Floats) -> Floats:
    """Ridge regressions of all entities at once, by their normal equations: an array (entities, parts)."""
    count = parts.shape[1]
    squares = (parts[:, :, None] * parts[:, None, :]).reshape(len(parts), count * count)
    weighted = np.isfinite(residuals) * weights
    normal = (weighted @ squares).reshape(-1, count, count)
    right = (np.nan_to_num(residuals) * weighted) @ parts
    typical = (weights @ squares).reshape(count, count) / weights.sum()
    return np.linalg.solve(normal + PRIOR_DAYS * typical, right[..., None])[..., 0]
