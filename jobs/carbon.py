"""Carbon: what each apartment complex emits, per month and estimated per day, its region with it, and carbon points.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/carbon.py`.
"""

from pyflink.common import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment

import forecast
import jobs
from conf import factors
from conf.settings import Carbon, Settings
from jobs.flow.datastreams import keyed, mapped, rows, side
from jobs.flow.decode import decode, records
from jobs.flow.emitted import row_type, versioned
from jobs.flow.environment import environment, submit
from jobs.flow.gather import gather
from jobs.operators.carbon.emissions import OF_COMPLEX, OF_MONTH, PerComplex, PerMonth
from jobs.operators.carbon.forecasts import forecasts
from jobs.rules.carbon import complexes, energy, weather
from jobs.rules.carbon.emission import Factor, Factors
from sinks import elasticsearch, kafka, postgres

NAME = "carbon"
# Each topic: how its records are read, what they say, and the table of it.
TOPICS = {
    "complexes": (complexes.parse, complexes.Complex, "complexes"),
    "energy.usage": (energy.parse, energy.Usage, "energy_usage"),
    "weather.daily": (weather.parse, weather.Day, "weather_daily"),
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
    results: dict[str, DataStream] = {}
    for topic, (parse, said, table) in TOPICS.items():
        source = records(tables, topic, brokers=settings.kafka.bootstrap_servers, group=f"citystream.{NAME}")
        valid, dead_letters = decode(source, parse, topic=topic)
        kafka.dead_letters(dead_letters, topic, settings)
        results[table] = mapped(valid, versioned, row_type(said, version=int), name=f"{table}.rows")
        decoded.append(valid)
    described, used, measured = decoded

    emitted = per_complex(described, used, options)
    spread = per_month(emitted, measured, options)
    for stream, given in ((emitted, OF_COMPLEX), (spread, OF_MONTH)):
        results |= {table: side(stream, table, row_type(columns)) for table, columns in given.items()}
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
    by_complex = mapped(used, energy.seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.usage-by-complex")
    gathered = gather(by_complex, seconds=options.gather_seconds, name="carbon.usage")
    join = PerComplex(known_factors(heat=options.heat), complexes.station_of(options.station, options.stations))
    return (
        keyed(gathered, lambda batch: batch[0], name="carbon.usage-per-complex")
        .connect(keyed(described, lambda record: record[0][0], name="carbon.complexes-per-complex"))
        .process(join, output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per complex")
        .uid("carbon.per-complex")
    )


def per_month(emitted: DataStream, measured: DataStream, options: Carbon) -> DataStream:
    """What complexes and regions emit, per station and month, spread over its days; everything is on the side."""
    by_month = mapped(measured, weather.seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.weather-by-month")
    weather_of_month = gather(by_month, seconds=options.gather_seconds, name="carbon.weather")
    emitted_in_month = gather(emitted, seconds=options.gather_seconds, name="carbon.emitted")
    return (
        keyed(emitted_in_month, lambda batch: batch[0], name="carbon.emitted-per-month")
        .connect(keyed(weather_of_month, lambda batch: batch[0], name="carbon.weather-per-month"))
        .process(PerMonth(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name("carbon: per month")
        .uid("carbon.per-month")
    )


def known_factors(*, heat: bool) -> Factors:
    """The factors of conf/emission_factors.yaml; heat's only where it counts."""
    return Factors(
        Factor(factor.item, factor.valid_from.isoformat()[:7], factor.kg_per_unit)
        for factor in factors.load()
        if heat or factor.item != "heat"
    )


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs, forecast])
