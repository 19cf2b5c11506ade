"""The forecast service: `GET /forecast?region=27260&days=7`. Start it with `python -m board.forecast`.

Model and weather are kept in memory, and looked at again in the background: a request waits for no server, and a
forecast is made once for all regions and complexes. Without a model, or without weather, the service is up and answers
503 with what to run. A day whose weather is known is an estimate of what is not published yet; one ahead takes the
normal weather of its time of year and what is left of the latest anomaly, since no weather forecast is read.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

from conf.errors import command
from conf.settings import Settings, load
from forecast import tables
from forecast.forecaster import UNIT, Forecast, Forecaster
from forecast.history import COMPLEX, REGION
from forecast.rolling import HORIZONS
from forecast.store import NoModelError, Store
from forecast.weather import Weather
from sinks import postgres
from sinks.errors import NotReadyError

LABEL = "An estimate: monthly energy use, spread over days by degree days, forecast from weather and calendar."
STARTING = "The service has just started: try again in a moment."
# Forecasts kept in memory, each of all entities and from another first day on.
MAX_MADE = 64
log = logging.getLogger(__name__)


class Day(BaseModel):
    """A day's forecast; `weather` says whether its weather is known."""

    day: date
    kg_co2: float
    lower: float = Field(description="bounds of the prediction interval")
    upper: float
    weather: Literal["observed", "normal"]


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
    """A model and the weather up to yesterday, and the forecasts made of them, by their first day."""

    model: Forecaster
    weather: Weather
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
            made = self.model.forecast(self.weather, start, max(days, min(reach, HORIZONS)))
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
                weather = tables.read_weather(connection, settings.carbon.station)
                self.newest_emission = tables.newest_emission(connection)
            if weather is None:
                troubles.append(f"There is no weather of station {settings.carbon.station}: {tables.FILL}.")
            elif self.model and not (self.ready and self.ready.model is self.model and self.ready.weather == weather):
                self.ready = Ready(self.model, weather)
        except NotReadyError as error:
            troubles.append(str(error))
        if (trouble := " ".join(troubles) or None) != self.trouble:
            log.warning("%s", trouble or "Model and weather are there.")
        self.trouble = trouble


def create(known: Known, refresh: Callable[[Known], None] | None = None, seconds: float = 5) -> FastAPI:
    """The service.

    Args:
        known: what it answers from.
        refresh: called in the background, at the start and again and again; None: never.
        seconds: the pause between.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async def keep() -> None:
            while refresh:
                try:
                    await asyncio.to_thread(refresh, known)
                except Exception as error:
                    # Whatever it is, what is in memory is still good; the next look may succeed.
                    log.exception("The look at model and tables failed")
                    known.trouble = f"{type(error).__name__}: {error}"
                await asyncio.sleep(seconds)

        task = asyncio.create_task(keep())
        yield
        task.cancel()

    app = FastAPI(title="Citystream forecast", description=__doc__, lifespan=lifespan)
    described = {404: {"description": "unknown"}, 503: {"description": "no model or no weather yet"}}

    @app.get("/forecast", summary="Daily emission of a region or a complex", responses=described)  # type: ignore[arg-type]
    async def forecast(
        region: Annotated[str | None, Query(pattern=r"^[0-9]{5}$", description="code of a district, 27260")] = None,
        complex: Annotated[str | None, Query(min_length=1, max_length=64, description="id of a complex")] = None,
        days: Annotated[int, Query(ge=1, le=HORIZONS, description="how many days")] = 7,
        start: Annotated[
            date | None, Query(description="the first day; default: the one after the newest known weather")
        ] = None,
    ) -> Answer:
        if (region is None) == (complex is None):
            raise HTTPException(422, "give either region or complex")
        if (ready := known.ready) is None:
            raise HTTPException(503, known.trouble or STARTING)
        model = ready.model
        scope, own = (REGION, region) if region is not None else (COMPLEX, str(complex))
        try:
            entity = model.position(scope, str(own))
        except KeyError:
            detail = {"message": f"there is no forecast for the {scope} {own}", "known": model.known(scope)}
            raise HTTPException(404, detail) from None
        try:
            made = ready.forecast(start or ready.weather_until + timedelta(days=1), days)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
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
                    weather="observed" if made.observed[number] else "normal",
                )
                for number, day in enumerate(made.days[:days].astype(object))
            ],
        )

    @app.get("/health", summary="Whether forecasts can be made; always 200 while the service is up")
    async def health() -> Health:
        return Health(
            status="ok" if known.ready else "waiting",
            trouble=known.trouble,
            model_version=known.model.version if known.model else None,
            weather_until=known.ready.weather_until if known.ready else None,
        )

    @app.get("/models/current", summary="The model in use: its data, features, metrics and libraries")
    async def current() -> dict[str, Any]:
        if known.model is None or known.described is None:
            raise HTTPException(503, known.trouble or STARTING)
        newer = known.newest_emission is not None and known.newest_emission > known.model.known_until
        hint = f"emission is known until {known.newest_emission}: `make train` makes a newer model" if newer else None
        return {**known.described, "hint": hint}

    return app


@command
def main() -> int:
    """Serve where BOARD_URL says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load()
    address = urlsplit(settings.board.url)
    # Settings are read at each look: the stack's addresses may come after this service.
    app = create(Known(), lambda known: known.refresh(load()), settings.board.refresh_seconds)
    uvicorn.run(app, host=address.hostname or "localhost", port=address.port or 80, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
