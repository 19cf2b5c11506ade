"""Forecasts made again at many past mornings, each from nothing but what was known then, and what came of them.

A month's values come months late. How late is told by the data: each complex is taken to have been as many months
behind on every past morning as it is now.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conf.errors import CitystreamError
from forecast.history import COMPLEX, REGION, History
from forecast.intervals import Intervals
from forecast.model import Fitted
from forecast.weather import (
    FORECAST,
    MID_TERM,
    NOTHING_ANNOUNCED,
    Announced,
    Climate,
    Days,
    Flags,
    Floats,
    Places,
    Skill,
    Weather,
)

HORIZONS = 14
SCOPES = (REGION, COMPLEX)
# A year of seasons, and a month, before the first forecast.
FIRST_AFTER_MONTHS = 13
# Every so many days a forecast; each weekday has its turn.
STEP_DAYS = 3
# Weather this far apart has little to do with each other.
SPELL_DAYS = 6
# An interval needs this many past mornings.
MIN_MORNINGS = 20


class TooLittleDataError(CitystreamError):
    """The history does not reach far enough; the message says how far it does."""


@dataclass(frozen=True)
class Replay:
    """Past mornings; arrays are (mornings, entities, horizons), kg CO2 per household and day, NaN where unknown.

    Attributes:
        mornings: the first day forecast; a horizon of 1 is that day.
        scopes: of each entity.
        known_until: the last day known of each entity on that morning, an array (mornings, entities).
        actual: what came.
        forecast: with the weather as it could be expected, by its forecasts too; `weather_sigma` its standard error
            by that.
        sources: where that weather was from, an array (mornings, horizons) of positions in weather.SOURCES.
        normals: with the weather as it could be expected without its forecasts.
        observed: with the weather as it came.
        last_week: the same weekday of the newest week that was known.
        last_week_hindsight: the same day of the week before, which nobody knew yet.
        month_mean: the mean of that month a year before.
    """

    mornings: Days
    scopes: list[str]
    known_until: Days
    actual: Floats
    forecast: Floats
    weather_sigma: Floats
    sources: Places
    normals: Floats
    observed: Floats
    last_week: Floats
    last_week_hindsight: Floats
    month_mean: Floats

    @property
    def announced(self) -> bool:
        """Whether any morning knew a weather forecast."""
        return bool(np.isin(self.sources, (FORECAST, MID_TERM)).any())

    def members(self, scope: str) -> Places:
        """The positions of a scope's entities."""
        return np.array([number for number, own in enumerate(self.scopes) if own == scope])

    def intervals(self, scope: str, nominal: float, known_until: Days | None = None) -> Intervals:
        """The intervals of a scope from the misses known to somebody who knows each entity until these days."""
        chosen = self.members(scope)
        actual = self.actual[:, chosen]
        target = self.mornings[:, None, None] + np.arange(HORIZONS)
        if known_until is not None:
            actual = np.where(target <= known_until[chosen][None, :, None], actual, np.nan)
        forecast, weather_sigma, observed = (
            part[:, chosen] for part in (self.forecast, self.weather_sigma, self.observed)
        )
        there = np.isfinite(actual)
        days = np.broadcast_to(target, actual.shape)
        age = (days[there].max(initial=days.min()) - days).astype(float)
        spells = there.any(axis=(1, 2)).sum() * STEP_DAYS / SPELL_DAYS
        return Intervals.of(actual, forecast, weather_sigma, observed, age, nominal=nominal, spells=spells)


def replay(
    history: History,
    weather: Weather,
    announced: Announced = NOTHING_ANNOUNCED,
    progress: Callable[[float], None] = lambda share: None,
) -> Replay:
    """Forecast again at past mornings, as far as emission is known by now.

    Args:
        history: on the days of the weather.
        weather: up to yesterday.
        announced: what weather forecasts said; each morning knows the issues until then.
        progress: called with the share that is done.

    Raises:
        TooLittleDataError: less than FIRST_AFTER_MONTHS and a few months more are known.
    """
    behind = history.behind()
    truth = history.entities()
    known = np.isfinite(truth.per_household)
    mornings = _mornings(history, known)
    observed_weather = Climate.of(weather).outlook(weather, HORIZONS)
    whole = np.full((len(truth.ids), len(weather) + HORIZONS), np.nan)
    whole[:, : len(weather)] = truth.per_household
    parts: dict[str, list[Floats]] = {name: [] for name in _ARRAYS}
    until: list[Days] = []
    sources: list[Places] = []
    month = None
    for number, morning in enumerate(mornings):
        if month != morning.astype("datetime64[M]"):  # what is known changes with the month
            month = morning.astype("datetime64[M]")
            first = month.astype("datetime64[D]")
            then = history.as_of(first, behind)
            entities = then.entities()
            fitted = Fitted.of(then, observed_weather.part(then.days[0], first))
            # The last day known of each entity; -1: there is none yet.
            seen = np.isfinite(entities.per_household)
            last = np.where(seen.any(axis=1), len(then.days) - 1 - np.argmax(seen[:, ::-1], axis=1), -1)
            past = weather.before(first)
            skill = Skill.of(announced.before(first), past, Climate.of(past))
        at = int(np.searchsorted(history.days, morning))
        targets = at + np.arange(HORIZONS)
        past = weather.before(morning)
        climate, said = Climate.of(past), announced.before(morning)
        normals, ahead = (
            climate.outlook(past, HORIZONS, known, skill).part(morning, morning + HORIZONS)
            for known in (NOTHING_ANNOUNCED, said)
        )
        parts["actual"].append(whole[:, targets])
        parts["normals"].append(fitted.per_household(normals))
        parts["forecast"].append(fitted.per_household(ahead))
        parts["weather_sigma"].append(fitted.weather_sigma(ahead))
        sources.append(ahead.sources)
        parts["observed"].append(fitted.per_household(observed_weather.part(morning, morning + HORIZONS)))
        weeks = np.maximum(np.ceil((targets - last[:, None]) / 7), 1).astype(int)
        parts["last_week"].append(np.take_along_axis(whole, targets - 7 * weeks, axis=1))
        parts["last_week_hindsight"].append(whole[:, targets - 7])
        parts["month_mean"].append(_month_means(entities.per_household, then.months, history.days[0], targets))
        until.append(history.days[0] + last)
        progress((number + 1) / len(mornings))
    arrays = {name: np.array(each) for name, each in parts.items()}
    return Replay(mornings, truth.scopes, np.array(until), sources=np.array(sources), **arrays)


_ARRAYS = (
    "actual",
    "forecast",
    "weather_sigma",
    "normals",
    "observed",
    "last_week",
    "last_week_hindsight",
    "month_mean",
)


def _mornings(history: History, known: Flags) -> Days:
    """From FIRST_AFTER_MONTHS after the first known day to the last known day."""
    days = history.days[known.any(axis=0)]
    if not len(days):
        msg = "no complex has a daily emission"
        raise TooLittleDataError(msg)
    first = (days[0].astype("datetime64[M]") + FIRST_AFTER_MONTHS).astype("datetime64[D]")
    mornings = np.arange(first, days[-1] + 1, STEP_DAYS)
    if len(mornings) < MIN_MORNINGS:
        months = (days[-1].astype("datetime64[M]") - days[0].astype("datetime64[M]")).astype(int) + 1
        wanted = FIRST_AFTER_MONTHS + int(np.ceil(MIN_MORNINGS * STEP_DAYS / 30))
        msg = f"emission is known of {months} months; {wanted} are needed"
        raise TooLittleDataError(msg)
    return mornings


def _month_means(per_household: Floats, months: Days, first: np.datetime64, targets: Places) -> Floats:
    """The mean of each target's month a year before."""
    wanted = (first + targets).astype("datetime64[M]") - 12
    with np.errstate(invalid="ignore"):
        means = {
            month: np.nansum(per_household[:, months == month], axis=1)
            / np.isfinite(per_household[:, months == month]).sum(axis=1)
            for month in set(wanted)
        }
    return np.stack([means[month] for month in wanted], axis=1)
