"""Carbon: what each apartment complex emits, per month and estimated per day, its region with it, and carbon points.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/carbon.py`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pyflink.common import Row, TypeInformation, Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment

import forecast
import jobs
from conf import factors
from conf.settings import Carbon, Settings
from jobs.flow.decode import decode, records
from jobs.flow.environment import environment, submit
from jobs.flow.gather import gather
from jobs.flow.streams import keyed, rows, side
from jobs.operators.emissions import (
    COMPLEX_DAYS,
    COMPLEX_MONTHS,
    DOCUMENTS,
    POINTS,
    REGION_DAYS,
    REGION_MONTHS,
    PerComplex,
    PerMonth,
)
from jobs.operators.forecasts import forecasts
from jobs.rules.carbon import complexes, energy, weather
from jobs.rules.carbon.emission import Factor, Factors
from sinks import elasticsearch, kafka, postgres

NAME = "carbon"
# Each topic, and how its records are read.
TOPICS = {"complexes": complexes.parse, "energy.usage": energy.parse, "weather.daily": weather.parse}

TEXT, LONG, INT, DOUBLE = Types.STRING(), Types.LONG(), Types.INT(), Types.DOUBLE()
COMPLEX_MONTH = {"complex_id": TEXT, "month": TEXT}
GRAMS = {"electricity": LONG, "gas": LONG, "water": LONG, "heat": LONG, "total": LONG}
DAYS = {"days": Types.OBJECT_ARRAY(LONG)}
# What Python gives for each table and for the index `carbon`, before sql/flink/carbon/<name>.sql; each has a version.
# Emission is in grams. Numbers as they were written go into numeric columns as text, digit for digit.
ROWS = {
    "complexes": {
        **{"complex_id": TEXT, "name": TEXT, "region": TEXT, "address": TEXT, "lat": DOUBLE, "lon": DOUBLE},
        **{"households": INT, "heating": TEXT},
    },
    "weather_daily": {
        **{"station": TEXT, "day": TEXT, "mean_celsius": DOUBLE, "min_celsius": DOUBLE, "max_celsius": DOUBLE},
        **{"rain_mm": DOUBLE, "snow_cm": DOUBLE, "humidity_percent": DOUBLE},
    },
    "energy_usage": {**COMPLEX_MONTH, "electricity_kwh": TEXT, "gas_m3": TEXT, "water_m3": TEXT, "heat_mcal": TEXT},
    "emission_per_complex_month": {**COMPLEX_MONTH, **GRAMS},
    "emission_per_complex_day": {**COMPLEX_MONTH, **DAYS},
    "emission_per_region_month": {"region": TEXT, "month": TEXT, "total": LONG, "complexes": INT},
    "emission_per_region_day": {"region": TEXT, "month": TEXT, **DAYS, "complexes": INT},
    "carbon_points": {
        **{"complex_id": TEXT, "half_year": TEXT, "electricity": LONG, "gas": LONG, "water": LONG},
        **{"electricity_saving": TEXT, "gas_saving": TEXT, "water_saving": TEXT, "households": INT},
    },
    "carbon": {
        **COMPLEX_MONTH,
        **{"name": TEXT, "region": TEXT, "households": INT, "heating": TEXT, "lat": DOUBLE, "lon": DOUBLE},
        **GRAMS,
    },
}
KEYS = {
    "complexes": ["complex_id"],
    "weather_daily": ["station", "day"],
    "energy_usage": ["complex_id", "month"],
    "emission_per_complex_month": ["complex_id", "month"],
    "emission_per_complex_day": ["complex_id", "day"],
    "emission_per_region_month": ["region", "month"],
    "emission_per_region_day": ["region", "day"],
    "carbon_points": ["complex_id", "half_year"],
    "emission_forecast": ["scope", "id", "day"],
}


def build(settings: Settings) -> StreamExecutionEnvironment:
    """The whole job: sources, decode, join, spread, forecast, tables, documents.

    Raises:
        NotReadyError: a server is away or lacks something that the job needs.
        SettingsError: the emission factors are wrong.
    """
    options = settings.carbon
    env, tables = environment(settings, state_backend=options.state_backend)

    decoded: list[DataStream] = []
    for topic, parse in TOPICS.items():
        source = records(tables, topic, brokers=settings.kafka.bootstrap_servers, group=f"citystream.{NAME}")
        valid, dead_letters = decode(source, parse, topic=topic)
        kafka.dead_letters(dead_letters, topic, settings)
        decoded.append(valid)
    described, used, measured = decoded

    emitted = per_complex(described, used, options)
    spread = per_month(emitted, measured, options)
    results = {
        "complexes": mapped(described, complex_row, row_type("complexes"), name="complexes.rows"),
        "weather_daily": mapped(measured, weather_row, row_type("weather_daily"), name="weather_daily.rows"),
        "energy_usage": mapped(used, usage_row, row_type("energy_usage"), name="energy_usage.rows"),
        **{tag.tag_id: side(emitted, tag.tag_id, row_type(tag.tag_id)) for tag in (COMPLEX_MONTHS, POINTS, DOCUMENTS)},
        **{
            tag.tag_id: side(spread, tag.tag_id, row_type(tag.tag_id))
            for tag in (COMPLEX_DAYS, REGION_MONTHS, REGION_DAYS)
        },
    }
    results["emission_forecast"] = forecasts(results["weather_daily"], settings, name=NAME)
    for name, result in results.items():
        tables.create_temporary_view(f"{name}_result", result)
    for table, key in KEYS.items():
        postgres.upsert(rows(tables, f"{NAME}/{table}"), table, key, settings=settings)
    if options.documents:
        elasticsearch.documents(rows(tables, f"{NAME}/documents"), NAME, topic="energy.usage", settings=settings)
    return env


def per_complex(described: DataStream, used: DataStream, options: Carbon) -> DataStream:
    """What each complex emits in a month, for its station's month; on the side months, points and documents."""
    by_complex = mapped(used, usage_seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.usage-by-complex")
    gathered = gather(by_complex, seconds=options.gather_seconds, name="carbon.usage")
    join = PerComplex(known_factors(heat=options.heat), station_of(options.station, options.stations))
    return (
        keyed(gathered, lambda batch: batch[0], name="carbon.usage-per-complex")
        .connect(keyed(described, lambda record: record[0][0], name="carbon.complexes-per-complex"))
        .process(join, output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per complex")
        .uid("carbon.per-complex")
    )


def per_month(emitted: DataStream, measured: DataStream, options: Carbon) -> DataStream:
    """What complexes and regions emit, per station and month, spread over its days; everything is on the side."""
    by_month = mapped(measured, weather_seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.weather-by-month")
    weather_of_month = gather(by_month, seconds=options.gather_seconds, name="carbon.weather")
    emitted_in_month = gather(emitted, seconds=options.gather_seconds, name="carbon.emitted")
    return (
        keyed(emitted_in_month, lambda batch: batch[0], name="carbon.emitted-per-month")
        .connect(keyed(weather_of_month, lambda batch: batch[0], name="carbon.weather-per-month"))
        .process(PerMonth(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per month")
        .uid("carbon.per-month")
    )


def row_type(name: str) -> TypeInformation:
    """The type of the rows that Python gives for a table or index."""
    return Types.ROW_NAMED([*ROWS[name], "version"], [*ROWS[name].values(), LONG])


def mapped(
    stream: DataStream, function: Callable[[Any], Any], output_type: TypeInformation, *, name: str
) -> DataStream:
    """A `map` with a name and uid."""
    return stream.map(function, output_type=output_type).name(name.replace(".", ": ", 1)).uid(name)


def usage_seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded usage as what `gather` takes."""
    (complex_id, month, *used), *version = record
    return complex_id, month, (tuple(version), tuple(used), any(each is not None for each in used), 1)


def weather_seen(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """A decoded day as what `gather` takes: its mean temperature in hundredths of a degree."""
    content, *version = record
    day = weather.Day(*content)
    celsius = None if day.mean_celsius is None else round(day.mean_celsius * 100)
    return f"{day.station}|{day.day[:7]}", day.day, (tuple(version), (celsius,), True, 1)


def complex_row(record: tuple[Any, ...]) -> Row:
    """A decoded complex as a row."""
    content, at, _ = record
    return Row(*content, at)


def usage_row(record: tuple[Any, ...]) -> Row:
    """A decoded usage as a row."""
    (complex_id, month, *used), at, _ = record
    return Row(complex_id, month, *(None if each is None else format(each, "f") for each in used), at)


def weather_row(record: tuple[Any, ...]) -> Row:
    """A decoded day as a row."""
    (station, day, *measured), at, _ = record
    return Row(station, day, *(float(each) if isinstance(each, Decimal) else None for each in measured), at)


def station_of(default: str, stations: Mapping[str, str]) -> Callable[[str], str]:
    """The weather station of a region, as a function."""
    known = dict(stations)
    return lambda region: known.get(region, default)


def known_factors(*, heat: bool) -> Factors:
    """The factors of conf/emission_factors.yaml; heat's only where it counts."""
    return Factors(
        Factor(factor.item, factor.valid_from.isoformat()[:7], factor.kg_per_unit)
        for factor in factors.load()
        if heat or factor.item != "heat"
    )


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs, forecast])
