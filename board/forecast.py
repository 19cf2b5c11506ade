"""The forecast, `GET /forecast?region=27260&days=7`, and whether the service can make one.

Model and weather are kept in memory, and looked at again in the background: a request waits for no server, and a
forecast is made once for all regions and complexes. Without a model, or without weather, the service is up and answers
503 with what to run. A day whose weather is known is an estimate of what is not published yet; one ahead takes what
forecasts say of its weather, or the normal of its time of year and what is left of the latest anomaly.
"""

import asyncio
import bisect
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field

from board.app import Part, ProblemError, problems
from conf.settings import Settings
from forecast import tables
from forecast.forecaster import UNIT, Forecast, Forecaster
from forecast.history import COMPLEX, REGION
from forecast.rolling import HORIZONS
from forecast.store import NoModelError, Store
from forecast.weather import SOURCES, Announced, Weather
from sinks import postgres
from sinks.errors import NotReadyError

LABEL = "An estimate: monthly energy use, spread over days by degree days, forecast from weather and calendar."
STARTING = "The service has just started: try again in a moment."
# Forecasts kept in memory, each of all entities and from another first day on.
MAX_MADE = 64
# How many of the nearest ids an answer names that knows none of the one asked for.
NEAREST = 5
ABOUT = (
    "Daily emission of tomorrow and the days after, per district and per apartment complex, with an interval. "
    "All of it is estimated from monthly energy use, weather and calendar."
)
log = logging.getLogger(__name__)


class Day(BaseModel):
    """A day's forecast; `weather` says by which weather: as measured, by a short- or mid-term forecast, or as usual."""

    day: date
    kg_co2: float
    lower: float = Field(description="bounds of the prediction interval")
    upper: float
    weather: Literal["observed", "forecast", "mid-term", "normal"]


class Answer(BaseModel):
    """The forecast of one region or complex."""

    region: str | None = None
    complex: str | None = None
    unit: str = UNIT
    label: str = LABEL
    coverage: float = Field(description="the share of days that the interval is to cover")
    weather_until: date
    emission_until: date = Field(description="the last day whose emission the model has seen")
    model_version: str
    trained_at: datetime
    days: list[Day]


class Health(BaseModel):
    """Whether forecasts can be made; `trouble` says why not, or what could not be read again."""

    status: Literal["ok", "waiting"]
    trouble: str | None
    model_version: str | None
    weather_until: date | None


@dataclass(frozen=True)
class Ready:
    """A model, the weather up to yesterday and its forecasts, and what was made of them, by its first day."""

    model: Forecaster
    weather: Weather
    announced: Announced
    made: dict[date, Forecast] = field(default_factory=dict)

    @property
    def weather_until(self) -> date:
        """The last day whose weather is known."""
        until: date = self.weather.days[-1].astype(object)
        return until

    def forecast(self, first: date, days: int) -> Forecast:
        """The forecast of `days` days from `first` on; a ValueError where it does not reach."""
        start = np.datetime64(first, "D")
        reach = int((self.weather.days[-1] - start).astype(int)) + 1 + HORIZONS
        if days > reach or first not in self.made:
            if len(self.made) >= MAX_MADE:
                self.made.clear()
            made = self.model.forecast(self.weather, start, max(days, min(reach, HORIZONS)), self.announced)
            self.made[first] = made
        return self.made[first]


@dataclass
class Known:
    """What requests are answered from.

    Attributes:
        ready: None while there is no model or no weather.
        described: what the JSON beside the model says.
        newest_emission: the newest day in the tables, which may be newer than the model's.
        trouble: why something is missing or could not be looked at again.
    """

    ready: Ready | None = None
    described: dict[str, Any] | None = None
    newest_emission: date | None = None
    trouble: str | None = None
    model: Forecaster | None = None

    def refresh(self, settings: Settings) -> None:
        """Look at the model's folder and at the tables again; what can't be read stays as it was."""
        troubles = []
        try:
            store = Store(settings.models)
            current = store.current()
            if self.model is None or self.model.version != current:
                self.model, self.described = store.load(current), store.described(current)
        except NoModelError as error:
            troubles.append(str(error))
        try:
            with postgres.connect(settings) as connection:
                station = settings.carbon.station
                weather = tables.read_weather(connection, station)
                since = weather.days[-1].astype(object) if weather else date.min
                announced = tables.read_announced(connection, station, since)
                self.newest_emission = tables.newest_emission(connection)
            if weather is None:
                troubles.append(f"There is no weather of station {station}: {tables.FILL}.")
            elif self.model:
                ready, now = Ready(self.model, weather, announced), self.ready
                if not (now and now.model is ready.model and (now.weather, now.announced) == (weather, announced)):
                    self.ready = ready
        except NotReadyError as error:
            troubles.append(str(error))
        if (trouble := " ".join(troubles) or None) != self.trouble:
            log.warning("%s", trouble or "Model and weather are there.")
        self.trouble = trouble


def iso_day(value: object) -> object:
    """A day as it came, where it is written like one; pydantic alone would take a number for seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        message = "a day is written like 2026-11-21"
        raise ValueError(message)
    return value


def nearest(known: list[str], own: str) -> list[str]:
    """Of what is known, in order, what stands nearest to where `own` would: codes that begin alike stand together."""
    known = sorted(known)
    first = max(0, min(bisect.bisect(known, own) - NEAREST // 2, len(known) - NEAREST))
    return known[first : first + NEAREST]


def part(load: Callable[[], Settings]) -> Part:
    """The part; settings are read at each look, since the stack's addresses may come after the service."""
    return answering(Known(), lambda known: known.refresh(load()), load().board.refresh_seconds)


def answering(known: Known, refresh: Callable[[Known], None] | None = None, seconds: float = 5) -> Part:
    """The part that answers from what is known.

    Args:
        known: what it answers from.
        refresh: called in the background, at the start and again and again; None: never.
        seconds: the pause between.
    """

    async def keep() -> None:
        while refresh:
            try:
                await asyncio.to_thread(refresh, known)
            except Exception as error:
                # Whatever it is, what is in memory is still good; the next look may succeed.
                log.exception("The look at model and tables failed")
                known.trouble = f"{type(error).__name__}: {error}"
            await asyncio.sleep(seconds)

    return Part("Forecast", ABOUT, routes(known), keep)


def routes(known: Known) -> APIRouter:
    """What is answered from what is known."""
    router = APIRouter()
    described = problems(
        {
            404: "the region or complex is unknown; `nearest` names some that are known",
            422: "a value that can't be",
            503: "no model or no weather yet",
        }
    )

    @router.get("/forecast", summary="Daily emission of a region or a complex", responses=described)
    async def forecast(
        region: Annotated[str | None, Query(pattern=r"^[0-9]{5}$", description="code of a district, 27260")] = None,
        complex: Annotated[str | None, Query(min_length=1, max_length=64, description="id of a complex")] = None,
        days: Annotated[int, Query(ge=1, le=HORIZONS, description="how many days")] = 7,
        start: Annotated[
            date | None,
            BeforeValidator(iso_day),
            Query(description="the first day; default: the one after the newest known weather"),
        ] = None,
    ) -> Answer:
        if (region is None) == (complex is None):
            raise ProblemError(422, "give either region or complex")
        if (ready := known.ready) is None:
            raise ProblemError(503, known.trouble or STARTING)
        model = ready.model
        scope, own = (REGION, region) if region is not None else (COMPLEX, str(complex))
        try:
            entity = model.position(scope, str(own))
        except KeyError:
            known_ids = nearest(model.known(scope), str(own))
            detail = f"there is no forecast for the {scope} {own}; nearest are {', '.join(known_ids)}"
            raise ProblemError(404, detail, nearest=known_ids) from None
        try:
            made = ready.forecast(start or ready.weather_until + timedelta(days=1), days)
        except ValueError as error:
            raise ProblemError(422, str(error)) from None
        return Answer(
            region=region,
            complex=complex,
            coverage=model.nominal,
            weather_until=ready.weather_until,
            emission_until=model.known_until,
            model_version=model.version,
            trained_at=model.trained_at,
            days=[
                Day(
                    day=day,
                    kg_co2=round(float(made.kg[entity, number]), 3),
                    lower=round(float(made.lower[entity, number]), 3),
                    upper=round(float(made.upper[entity, number]), 3),
                    weather=SOURCES[made.sources[number]],
                )
                for number, day in enumerate(made.days[:days].astype(object))
            ],
        )

    @router.get("/health", summary="Whether forecasts can be made; always 200 while the service is up")
    async def health() -> Health:
        return Health(
            status="ok" if known.ready else "waiting",
            trouble=known.trouble,
            model_version=known.model.version if known.model else None,
            weather_until=known.ready.weather_until if known.ready else None,
        )

    waiting = problems({503: "no model yet"})

    @router.get(
        "/models/current", summary="The model in use: its data, features, metrics and libraries", responses=waiting
    )
    async def current() -> dict[str, Any]:
        if known.model is None or known.described is None:
            raise ProblemError(503, known.trouble or STARTING)
        newer = known.newest_emission is not None and known.newest_emission > known.model.known_until
        hint = f"emission is known until {known.newest_emission}: `make train` makes a newer model" if newer else None
        return {**known.described, "hint": hint}

    return router
