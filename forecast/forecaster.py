"""What training leaves behind and everyone applies: the service, and the job when new weather arrives.

Pure and deterministic: the same model and the same weather give the same rows. One call makes the forecast of all
regions and complexes: a prediction of the city's curve for the days, and a matrix product.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, NamedTuple, Self

import numpy as np

from forecast.history import History
from forecast.intervals import Intervals
from forecast.model import Fitted
from forecast.rolling import HORIZONS, SCOPES, Replay
from forecast.weather import (
    NOTHING_ANNOUNCED,
    OBSERVED,
    SOURCES,
    Announced,
    Climate,
    Days,
    Floats,
    Places,
    Skill,
    Weather,
)

UNIT = "kg CO2 per day"
# How many days before a forecast its weather must reach back to: the features look back a week.
RECENT_DAYS = 8


class Forecast(NamedTuple):
    """Emission of consecutive days: kg CO2, arrays (entities, days); `sources`: where each day's weather is from."""

    days: Days
    sources: Places
    kg: Floats
    lower: Floats
    upper: Floats


class Row(NamedTuple):
    """A row of the table emission_forecast."""

    scope: str
    id: str
    day: date
    kg_co2: float
    lower: float
    upper: float
    weather: str
    model_version: str
    version: int


@dataclass(frozen=True)
class Forecaster:
    """A trained model.

    Attributes:
        version: its name; sorts by time.
        trained_at: in UTC.
        nominal: the share of days that an interval covers.
        known_until: the last day whose emission was known.
        scopes, ids: `region` or `complex`, and the code or id of each entity.
        households: of each entity.
        fitted: the model.
        climate: of the weather's history.
        skill: of weather forecasts.
        intervals: by scope.
    """

    version: str
    trained_at: datetime
    nominal: float
    known_until: date
    scopes: tuple[str, ...]
    ids: tuple[str, ...]
    households: Floats
    fitted: Fitted
    climate: Climate
    skill: Skill
    intervals: dict[str, Intervals]

    @classmethod
    def of(
        cls,
        history: History,
        weather: Weather,
        past: Replay,
        *,
        nominal: float,
        trained_at: datetime,
        announced: Announced = NOTHING_ANNOUNCED,
    ) -> Self:
        """Fit to all that is known; the intervals come from forecasts made again at past mornings."""
        entities = history.entities()
        climate = Climate.of(weather)
        fitted = Fitted.of(history, climate.outlook(weather, 0))
        return cls(
            version=trained_at.strftime("%Y%m%dT%H%M%SZ"),
            trained_at=trained_at,
            nominal=nominal,
            known_until=history.days[np.isfinite(history.kg).any(axis=0)][-1].astype(object),
            scopes=tuple(entities.scopes),
            ids=tuple(entities.ids),
            households=entities.households,
            fitted=fitted,
            climate=climate,
            skill=Skill.of(announced, weather, climate),
            intervals={scope: past.intervals(scope, nominal) for scope in SCOPES},
        )

    @classmethod
    def from_parts(cls, parts: dict[str, Any]) -> Self:
        """The inverse of `parts`."""
        parts = dict(parts)
        fitted, climate = Fitted(**parts.pop("fitted")), Climate(**parts.pop("climate"))
        skill = Skill(**parts.pop("skill"))
        intervals = {scope: Intervals(**values) for scope, values in parts.pop("intervals").items()}
        return cls(**parts, fitted=fitted, climate=climate, skill=skill, intervals=intervals)

    def parts(self) -> dict[str, Any]:
        """The model without classes of this project, so that whoever loads it needs libraries only."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        parts["fitted"] = dict(vars(self.fitted))
        parts["climate"], parts["skill"] = asdict(self.climate), asdict(self.skill)
        parts["intervals"] = {scope: asdict(intervals) for scope, intervals in self.intervals.items()}
        return parts

    def known(self, scope: str) -> list[str]:
        """The codes or ids that there are forecasts for."""
        return [own for own, its in zip(self.ids, self.scopes, strict=True) if its == scope]

    def position(self, scope: str, own: str) -> int:
        """Where a region or complex is in arrays of entities.

        Raises:
            KeyError: there is no forecast for it.
        """
        for number, both in enumerate(zip(self.scopes, self.ids, strict=True)):
            if both == (scope, own):
                return number
        raise KeyError(own)

    def forecast(
        self, weather: Weather, first: np.datetime64, days: int, announced: Announced = NOTHING_ANNOUNCED
    ) -> Forecast:
        """Forecast `days` days from `first` on.

        Args:
            weather: without a gap, up to yesterday, and RECENT_DAYS before `first` where that is in the past.
            first: a day whose weather is known, for an estimate of what is not published yet, or one after it.
            days: how many; the last may be HORIZONS days after the last known weather.
            announced: what weather forecasts said.

        Raises:
            ValueError: a day lies too far ahead of the weather, or too far back.
        """
        ahead = int((first + days - 1 - weather.days[-1]).astype(int))
        if ahead > HORIZONS or first < weather.days[0] or len(weather) < RECENT_DAYS:
            earliest, latest = weather.days[0], weather.days[-1] + HORIZONS
            msg = f"the weather is known from {earliest} to {weather.days[-1]}: forecasts reach to {latest}"
            raise ValueError(msg)
        outlook = self.climate.outlook(weather, max(ahead, 0), announced, self.skill).part(first, first + days)
        forecast = self.fitted.per_household(outlook)
        spread = self.fitted.weather_sigma(outlook)
        observed = outlook.sources == OBSERVED
        lower, upper = np.empty_like(forecast), np.empty_like(forecast)
        for scope in SCOPES:
            chosen = np.array([own == scope for own in self.scopes])
            bounds = self.intervals[scope].around(forecast[chosen], spread[chosen], observed)
            lower[chosen], upper[chosen] = bounds
        scale = self.households[:, None]
        return Forecast(outlook.days, outlook.sources, forecast * scale, lower * scale, upper * scale)

    def rows(self, weather: Weather, days: int, announced: Announced = NOTHING_ANNOUNCED) -> Iterator[Row]:
        """The forecast of the `days` days after the last known weather, as rows of emission_forecast.

        A row's version grows with the newest weather and the newest issues of its forecasts, and then with the model,
        so that a replay never puts an older forecast in the place of a newer one.
        """
        made = self.forecast(weather, weather.days[-1] + 1, days, announced)
        learnt = 24 * int(weather.days[-1].astype(int)) + announced.learnt
        version = learnt * 2**32 + int(self.trained_at.timestamp())
        dates = made.days.astype(object)
        kg, lower, upper = (np.round(part, 3).tolist() for part in (made.kg, made.lower, made.upper))
        for entity, (scope, own) in enumerate(zip(self.scopes, self.ids, strict=True)):
            for number, day in enumerate(dates):
                values = kg[entity][number], lower[entity][number], upper[entity][number]
                yield Row(scope, own, day, *values, SOURCES[made.sources[number]], self.version, version)
