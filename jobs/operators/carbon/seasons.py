"""A station's months as the complexes near it need them: how much more than a mild month each is to weigh."""

from collections.abc import Callable, Iterator
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedCoProcessFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from jobs.flow.datastreams import bundles_finished, keyed, mapped
from jobs.flow.gather import Batch, gather
from jobs.rules.carbon import weather
from jobs.rules.carbon.complexes import Complex
from jobs.rules.carbon.spreading import days_of, month_weights
from jobs.rules.newest import Seen, newer


def per_month_of_weather(measured: DataStream, *, seconds: float) -> DataStream:
    """Batches of days' weather, per station and month."""
    by_month = mapped(measured, weather.seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.weather-by-month")
    return gather(by_month, seconds=seconds, name="carbon.weather")


def per_station(described: DataStream, weather_of_month: DataStream, station_of: Callable[[str], str]) -> DataStream:
    """The weights of each month that is over, as facts of the complexes near the station."""
    joined = (
        keyed(weather_of_month, lambda batch: batch[0].rsplit("|", 1)[0], name="carbon.weather-per-station")
        .connect(
            keyed(described, lambda record: station_of(Complex(*record[0]).region), name="carbon.complexes-per-station")
        )
        .process(PerStation(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per station")
        .uid("carbon.per-station")
    )
    return bundles_finished(joined, name="carbon.per-station")


class PerStation(KeyedCoProcessFunction):
    """Gives a station's months to its complexes, as facts that `jobs.rules.carbon.known` has.

    First input: batches of days' weather, per month. Second input: complexes. A month is over when its last day is
    known, or a later one: so a day's weather is no news to any complex, but twelve times a year.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the states."""
        # The days of each month; the complexes that were ever described here.
        self._months: MapState = runtime_context.get_map_state(_map("months"))
        self._complexes: MapState = runtime_context.get_map_state(_map("complexes"))

    def process_element1(self, value: Batch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take some days of a month."""
        key, batch = value
        station, month = key.rsplit("|", 1)
        before = self._over()
        days = self._months.get(month) or {}
        for day, seen in batch.items():
            days[day] = tuple(newer(Seen(*days[day]), Seen(*seen)) if day in days else Seen(*seen))
        self._months.put(month, days)
        changed = self._over() - (before - {month})
        complexes = sorted(self._complexes.keys())
        for each in sorted(changed):
            fact = self._fact(station, each)
            for complex_id in complexes:
                yield complex_id, *fact

    def process_element2(self, value: tuple[Any, ...], ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Take a complex."""
        (complex_id, *_), _, _ = value
        if not self._complexes.contains(complex_id):
            self._complexes.put(complex_id, True)
            for month in sorted(self._over()):
                yield complex_id, *self._fact(ctx.get_current_key(), month)

    def _over(self) -> set[str]:
        """The months that are over."""
        months = sorted(self._months.keys())
        if not months:
            return set()
        *earlier, newest = months
        return {*earlier, newest} if days_of(newest)[-1] in self._months.get(newest) else set(earlier)

    def _fact(self, station: str, month: str) -> tuple[str, tuple[Any, ...]]:
        days = {day: Seen(*seen) for day, seen in self._months.get(month).items()}
        weights = month_weights([days[day].content[0] if day in days else None for day in days_of(month)])
        version = sum(seen.version[0] for seen in days.values())
        return f"weather|{month}|{station}", ((version, 0), tuple(weights), False, 1)


def _map(name: str) -> MapStateDescriptor:
    return MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY())
