"""Carbon: what each apartment complex emits, per month and estimated per day, its region with it, and carbon points.

Submit it with `flink run --detached --jarfile sinks/java/target/citystream-sinks.jar --python jobs/carbon.py`.
"""

from pyflink.common import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment

import forecast
import jobs
from conf import factors
from conf.settings import Settings
from jobs.flow.datastreams import mapped, rows, side
from jobs.flow.decode import Parse, decode, records
from jobs.flow.emitted import row_type, versioned
from jobs.flow.environment import environment, submit
from jobs.operators.carbon.buildings import per_dong
from jobs.operators.carbon.emissions import OF_COMPLEX, OF_MONTH, PerComplex, per_complex, per_month
from jobs.operators.carbon.forecasts import forecasts
from jobs.operators.carbon.seasons import per_month_of_weather, per_station
from jobs.rules.carbon import announced, buildings, complexes, energy, weather
from jobs.rules.carbon.emission import Factor, Factors
from jobs.rules.carbon.known import Conversion
from sinks import elasticsearch, kafka, postgres

NAME = "carbon"
# Each topic, and how its records are read.
TOPICS: dict[str, Parse] = {
    "complexes": complexes.parse,
    "energy.usage": energy.parse,
    "energy.buildings": buildings.parse,
    "weather.daily": weather.parse,
    "weather.forecast": announced.parse,
}
# The tables of what some of them say, record by record.
TABLES = {
    "complexes": ("complexes", complexes.Complex),
    "weather_daily": ("weather.daily", weather.Day),
    "weather_forecast": ("weather.forecast", announced.Announced),
}
KEYS = {
    "complexes": ["complex_id"],
    "weather_daily": ["station", "day"],
    "weather_forecast": ["station", "kind", "issued_at", "day"],
    "energy_usage": ["complex_id", "month"],
    "emission_per_complex_month": ["complex_id", "month"],
    "emission_per_complex_day": ["complex_id", "day"],
    "emission_per_region_month": ["region", "month"],
    "emission_per_region_day": ["region", "day"],
    "carbon_points": ["complex_id", "half_year"],
    "carbon_points_expected": ["complex_id", "half_year"],
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

    decoded: dict[str, DataStream] = {}
    for topic, parse in TOPICS.items():
        source = records(tables, topic, brokers=settings.kafka.bootstrap_servers, group=f"citystream.{NAME}")
        valid, dead_letters = decode(source, parse, topic=topic)
        kafka.dead_letters(dead_letters, topic, settings)
        decoded[topic] = valid
    described, used, metered, measured, _ = decoded.values()
    results = {
        table: mapped(decoded[topic], versioned, row_type(said, version=int), name=f"{table}.rows")
        for table, (topic, said) in TABLES.items()
    }

    seconds = options.gather_seconds
    station_of = complexes.station_of(options.station, options.stations)
    weather_of_month = per_month_of_weather(measured, seconds=seconds)
    by_complex = mapped(used, energy.seen, Types.PICKLED_BYTE_ARRAY(), name="carbon.usage-by-complex")
    facts = by_complex.union(
        per_dong(described, metered, seconds=seconds), per_station(described, weather_of_month, station_of)
    )
    join = PerComplex(known_factors(heat=options.heat), known_conversions(), factors.pine_tree(), station_of)
    emitted = per_complex(described, facts, join, seconds=seconds)
    spread = per_month(emitted, weather_of_month, seconds=seconds)
    for stream, given in ((emitted, OF_COMPLEX), (spread, OF_MONTH)):
        results |= {table: side(stream, table, row_type(columns)) for table, columns in given.items()}
    results["emission_forecast"] = forecasts(results["weather_daily"], results["weather_forecast"], settings, name=NAME)
    for name, result in results.items():
        tables.create_temporary_view(f"{name}_result", result)
    for table, key in KEYS.items():
        postgres.upsert(rows(tables, f"{NAME}/{table}"), table, key, settings=settings)
    if options.documents:
        elasticsearch.documents(rows(tables, f"{NAME}/documents"), NAME, topic="energy.usage", settings=settings)
    return env


def known_factors(*, heat: bool) -> Factors:
    """The factors of conf/emission_factors.yaml; heat's only where it counts."""
    return Factors(
        Factor(factor.item, factor.valid_from.isoformat()[:7], factor.kg_per_unit)
        for factor in factors.load()
        if heat or factor.item != "heat"
    )


def known_conversions() -> list[Conversion]:
    """The conversions of conf/emission_factors.yaml."""
    return [Conversion(each.item, each.valid_from.isoformat()[:7], each.kwh_per_unit) for each in factors.conversions()]


if __name__ == "__main__":
    submit(build, NAME, carrying=[jobs, forecast])
