"""What training reads from PostgreSQL: the daily emission of complexes, the weather, and its forecasts."""

import contextlib
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from psycopg2 import errors

from conf.settings import Settings
from forecast.history import History
from forecast.weather import Announced, Weather
from sinks import postgres
from sinks.errors import NotReadyError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

FILL = "fill the tables with `make backfill` while the job runs (`make submit JOB=carbon`)"

# A month in which an item is missing that the complex usually has measures something else, and is left out. So is one
# that is partly estimated.
_EMISSION = """
WITH months AS (
    SELECT complex_id, month, num_nonnulls(electricity_kg, gas_kg, water_kg, heat_kg) AS items
    FROM emission_per_complex_month WHERE coalesce(gap_kg, 0) = 0
), usual AS (
    SELECT complex_id, max(items) AS items FROM months GROUP BY complex_id
)
SELECT c.complex_id, c.region, c.households, month,
    array_agg(d.day ORDER BY d.day), array_agg(d.kg_co2::float8 ORDER BY d.day)
FROM emission_per_complex_day d
JOIN complexes c USING (complex_id)
JOIN months m ON m.complex_id = d.complex_id AND m.month = date_trunc('month', d.day)::date
JOIN usual u ON u.complex_id = d.complex_id AND u.items = m.items
WHERE c.households > 0
GROUP BY c.complex_id, c.region, c.households, month
"""
_WEATHER = """
SELECT day, mean_celsius, min_celsius, max_celsius, rain_mm FROM weather_daily
WHERE station = %s AND day >= %s ORDER BY day
"""
_ANNOUNCED = """
SELECT kind, issued_at, day, mean_celsius, min_celsius, max_celsius, rain_mm FROM weather_forecast
WHERE station = %s AND day >= %s
"""
_NEWEST = "SELECT max(day) FROM emission_per_region_day WHERE kg_co2 > gap_kg"
_LONG_AGO = date(1900, 1, 1)


def read(settings: Settings) -> tuple[History, Weather, Announced]:
    """The history of emission on the days of the weather, the weather, and what its forecasts said.

    Raises:
        NotReadyError: the server is away, a table is missing or empty.
    """
    with postgres.connect(settings) as connection:
        weather = read_weather(connection, settings.carbon.station)
        if weather is None:
            message = f"There is no weather of station {settings.carbon.station}: {FILL}."
            raise NotReadyError(message)
        announced = read_announced(connection, settings.carbon.station)
        with _tables_there(), connection.cursor() as cursor:
            cursor.execute(_EMISSION)
            rows = cursor.fetchall()
    if not rows:
        message = f"No complex has a daily emission yet: {FILL}."
        raise NotReadyError(message)
    complexes = sorted({(complex_id, region, households) for complex_id, region, households, *_ in rows})
    position = {complex_id: number for number, (complex_id, *_) in enumerate(complexes)}
    kg = np.full((len(complexes), len(weather)), np.nan)
    for complex_id, _, _, _, days, values in rows:
        at = (np.array(days, dtype="datetime64[D]") - weather.days[0]).astype(int)
        there = (at >= 0) & (at < len(weather))
        kg[position[complex_id], at[there]] = np.array(values)[there]
    ids, regions, households = (list(column) for column in zip(*complexes, strict=True))
    return History(weather.days, ids, regions, np.array(households, dtype=float), kg), weather, announced


def read_weather(connection: "Connection", station: str, since: date = _LONG_AGO) -> Weather | None:
    """The weather of a station since a day; None where there is none.

    Raises:
        NotReadyError: the table is missing.
    """
    with _tables_there(), connection.cursor() as cursor:
        cursor.execute(_WEATHER, (station, since))
        rows = cursor.fetchall()
    return Weather.of(rows) if any(mean is not None for _, mean, *_ in rows) else None


def read_announced(connection: "Connection", station: str, since: date = _LONG_AGO) -> Announced:
    """What weather forecasts said of a station's days since a day.

    Raises:
        NotReadyError: the table is missing.
    """
    with _tables_there(), connection.cursor() as cursor:
        cursor.execute(_ANNOUNCED, (station, since))
        return Announced.of(cursor.fetchall())


def newest_emission(connection: "Connection") -> date | None:
    """The newest day that any region's emission is known of.

    Raises:
        NotReadyError: the table is missing.
    """
    with _tables_there(), connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        row = cursor.fetchone()
    return row[0] if row else None


@contextlib.contextmanager
def _tables_there() -> Iterator[None]:
    """Turn a missing table into the sentence that says what to run."""
    try:
        yield
    except errors.UndefinedTable:
        message = "PostgreSQL lacks the tables of carbon: run `make prepare`."
        raise NotReadyError(message) from None
