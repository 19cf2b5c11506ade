"""What the service asks of a district, in tables as large as those of all of Korea: they are not read whole."""

import pytest

from board import carbon
from conf.settings import load
from sinks import postgres

pytestmark = pytest.mark.postgres

LARGE = "11110"
TABLES = {
    "complexes": """INSERT INTO complexes (complex_id, name, region, address, households, version)
SELECT n, n, CASE WHEN n <= 500 THEN %s ELSE (20000 + n %% 250)::text END, n, 500, 1
FROM generate_series(1, 22000) n""",
    "energy_usage": """INSERT INTO energy_usage (complex_id, month, electricity_kwh, version)
SELECT complex_id, month, 1000, 1 FROM generate_series('2025-11-01'::date, '2026-10-01', '1 month') month, complexes""",
    "carbon_points": """INSERT INTO carbon_points (complex_id, half_year, points, electricity_points, gas_points,
    water_points, households, version)
SELECT complex_id, half, 0, 0, 0, 0, 500, 1 FROM unnest(ARRAY['2025-H2', '2026-H1']) half, complexes""",
}


@pytest.mark.parametrize("query", [carbon._REGION_ENERGY, carbon._REGION_FINAL], ids=["energy", "points"])
def test_a_large_district_is_looked_up(query: str) -> None:
    with postgres.connect(load()) as connection, connection.cursor() as cursor:
        for table, filled in TABLES.items():
            # They hide those of the stream until the transaction ends.
            cursor.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL) ON COMMIT DROP")
            cursor.execute(filled, (LARGE,) if "%s" in filled else None)
            cursor.execute(f"ANALYZE {table}")
        cursor.execute(f"EXPLAIN {query}", (LARGE,))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan, plan
