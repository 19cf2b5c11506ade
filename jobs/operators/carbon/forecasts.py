"""The forecast inside a job: when weather, a forecast of it or a model is new, that of the next days' emission.

Weather comes once a day, its forecasts some ten times, and in a backfill by the hundred: emission is forecast when
nothing new has come for a moment, from the newest day there is. The model is that of `make train`; every few seconds a
timer looks whether there is a newer one. Where none can be made (no model, too little weather) the job runs without
forecasts and says so once.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, KeyedCoProcessFunction, KeyedStream, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from conf.settings import Settings
from forecast import forecaster
from forecast.forecaster import RECENT_DAYS, Forecaster
from forecast.store import NoModelError, Store
from forecast.weather import Announced, Weather
from jobs.flow.datastreams import keyed, timers_in_checkpoints
from jobs.flow.emitted import row, row_type

EMISSION_FORECAST = row_type(forecaster.Row)
DAY = Types.TUPLE([*(Types.DOUBLE() for _ in range(4)), Types.LONG()])
# Of a kind of weather forecast and a day: the newest issue (ms), its record's version, and what it says.
SAID = Types.TUPLE([Types.LONG(), Types.LONG(), *(Types.DOUBLE() for _ in range(4))])
# Weather before that changes no forecast of tomorrow; a few more than the model looks back, for gaps.
REMEMBERED_DAYS = 30
# How often a timer looks for a newer model: one read of a small file.
LOOK_MS = 10_000
# What the table's columns hold, and more than a city emits in a day.
MOST_KG = 10**12

log = logging.getLogger(__name__)


def forecasts(weather: DataStream, announced: DataStream, settings: Settings, *, name: str) -> DataStream:
    """Rows of emission_forecast from rows of weather and of its forecasts.

    Args:
        weather: rows that begin with station, day (ISO 8601), mean, minimum and maximum (C), rain (mm), and end with a
            version: of two rows of a day the one with the higher version holds. Other stations than
            `carbon.station` are left out. Numbers may be text.
        announced: rows that begin with station, kind, issue (ms), day, mean, minimum and maximum (C), rain (mm), and
            end with a version.
        settings: where the models are, and section `forecast`.
        name: the start of the operators' names and uids.

    Returns:
        rows of type EMISSION_FORECAST, for `forecast.days` days after the newest weather.
    """
    options = settings.forecast
    station = settings.carbon.station

    def of_station(stream: DataStream, what: str) -> KeyedStream:
        ours = stream.filter(lambda row: row[0] == station).name(f"{name}: {what} of the forecast")
        return keyed(ours.uid(f"{name}.forecast-{what}"), lambda row: row[0], name=f"{name}.forecast-by-{what}")

    ahead = (
        of_station(weather, "weather")
        .connect(of_station(announced, "announced"))
        .process(
            ForecastAhead(str(settings.models), options.days, int(options.quiet_seconds * 1000)),
            output_type=EMISSION_FORECAST,
        )
        .name(f"{name}: forecast")
        .uid(f"{name}.forecast")
    )
    return timers_in_checkpoints(ahead, name=f"{name}.forecast")


class ForecastAhead(KeyedCoProcessFunction):
    """Remembers a station's last days and what is forecast of the next, and forecasts once all has been quiet.

    First input: weather. Second input: forecasts of it, of which the newest issue of each kind and day counts.
    """

    def __init__(self, folder: str, days: int, quiet_ms: int) -> None:
        self._folder = folder
        self._days = days
        self._quiet_ms = quiet_ms
        self._model: Forecaster | None = None
        self._trouble: str | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states."""
        self._weather = runtime_context.get_map_state(MapStateDescriptor("weather", Types.STRING(), DAY))
        self._announced = runtime_context.get_map_state(MapStateDescriptor("announced", Types.STRING(), SAID))
        # When new weather is to be applied; none: it has been.
        self._due = runtime_context.get_state(ValueStateDescriptor("due", Types.LONG()))
        # When the next look for a newer model is, and the version that was applied last.
        self._look = runtime_context.get_state(ValueStateDescriptor("look", Types.LONG()))
        self._applied = runtime_context.get_state(ValueStateDescriptor("applied", Types.STRING()))

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        """Take a day; nothing comes of one without a temperature."""
        _, day, mean, low, high, rain, *_, version = value
        if mean is None:
            return
        known = self._weather.get(day)
        if known is not None and known[-1] > version:
            return
        self._weather.put(day, (*map(_measured, (mean, low, high, rain)), version))
        self._wait(ctx)
        yield from ()

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        """Take what an issue says of a day."""
        _, kind, issued, day, mean, low, high, rain, *_, version = value
        known = self._announced.get(f"{kind}|{day}")
        if known is not None and known[:2] > (issued, version):
            return
        self._announced.put(f"{kind}|{day}", (issued, version, *map(_measured, (mean, low, high, rain))))
        self._wait(ctx)
        yield from ()

    def _wait(self, ctx: KeyedCoProcessFunction.Context) -> None:
        """Forecast when nothing new has come for a moment."""
        now = ctx.timer_service().current_processing_time()
        if self._due.value() is None:
            ctx.timer_service().register_processing_time_timer(now + self._quiet_ms)
        self._due.update(now + self._quiet_ms)
        if self._look.value() is None:
            self._look_at(now + LOOK_MS, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Forecast where weather or model is new, unless newer weather has come meanwhile."""
        if (look := self._look.value()) is not None and timestamp >= look:
            self._look_at(ctx.timer_service().current_processing_time() + LOOK_MS, ctx)
        due = self._due.value()
        if due is not None and due > timestamp:
            ctx.timer_service().register_processing_time_timer(due)
            return
        self._due.clear()
        model = self._newest_model()
        if model and (due is not None or model.version != self._applied.value()):
            self._applied.update(model.version)
            yield from self._forecast(model)

    def _look_at(self, look: int, ctx: KeyedCoProcessFunction.Context) -> None:
        self._look.update(look)
        ctx.timer_service().register_processing_time_timer(look)

    def _forecast(self, model: Forecaster) -> list[Row]:
        """The rows of the next days; none, said once in the log, where the model can make none of this weather."""
        weather = self._recent()
        if weather is None or len(weather) < RECENT_DAYS:
            known = f"{len(weather)} days of weather until {weather.days[-1]} are" if weather else "No weather is"
            self._say(f"{known} known, {RECENT_DAYS} days are needed.")
            return []
        try:
            made = list(model.rows(weather, self._days, self._of_issues(weather.days[-1].astype(object))))
        except Exception as error:  # a model is a file from elsewhere: whatever it does, the tables go on
            self._say(f"Model {model.version} can't forecast from the weather until {weather.days[-1]}: {error!r}.")
            return []
        if not all(abs(kg) < MOST_KG for each in made for kg in (each.kg_co2, each.lower, each.upper)):  # NaN neither
            self._say(f"Model {model.version} forecasts what can't be from the weather until {weather.days[-1]}.")
            return []
        self._trouble = None
        return [row(each) for each in made]

    def _recent(self) -> Weather | None:
        """The last days of weather; what is older is forgotten. None: there is none."""
        days = {date.fromisoformat(day): values for day, values in self._weather.items()}
        if not days:
            return None
        newest = max(days)
        for day in days:
            if (newest - day).days > REMEMBERED_DAYS:
                self._weather.remove(day.isoformat())
        return Weather.of((day, *values[:-1]) for day, values in days.items() if (newest - day).days <= REMEMBERED_DAYS)

    def _of_issues(self, newest_weather: date) -> Announced:
        """What is forecast of days; what is older than the weather goes, but of the newest issue of each kind."""
        newest: dict[str, int] = {}
        rows = []
        for name, (issued, _, *said) in self._announced.items():
            kind, day = name.split("|")
            newest[kind] = max(newest.get(kind, 0), issued)
            rows.append((kind, issued, date.fromisoformat(day), *said))
        for kind, issued, day, *_ in rows:
            if (newest_weather - day).days > REMEMBERED_DAYS and issued < newest[kind]:
                self._announced.remove(f"{kind}|{day}")
        return Announced.of((kind, datetime.fromtimestamp(at / 1000, UTC), *rest) for kind, at, *rest in rows)

    def _newest_model(self) -> Forecaster | None:
        """The current model; None, said once in the log, while there is none that can be used."""
        store = Store(Path(self._folder))
        try:
            if self._model is None or self._model.version != store.current():
                self._model = store.load()
                self._trouble = None
                log.info("Forecasts are made with model %s", self._model.version)
        except NoModelError as error:
            self._say(f"{error} {'The last one goes on.' if self._model else 'There are no forecasts yet.'}")
        return self._model

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("%s", trouble)


def _measured(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
