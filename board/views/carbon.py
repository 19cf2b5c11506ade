"""Carbon on the board: emission per complex and region with the coming days, energy, points."""

from board.view import Query, View

_LATEST = "(SELECT max(day) FROM emission_per_region_day)"
_DAYS = "day BETWEEN coalesce(%(from)s::date, {latest} - 59) AND coalesce(%(to)s::date, {latest})"
_MONTHS = (
    "month BETWEEN date_trunc('month', coalesce(%(from)s::date, current_date - 900))"
    " AND coalesce(%(to)s::date, current_date)"
)
_FORECAST = "SELECT day, kg_co2, lower, upper, weather, model_version FROM emission_forecast WHERE scope = '{scope}'"

VIEW = View(
    sections={
        "emission_per_region": Query(
            "SELECT region, day, kg_co2, complexes, estimated FROM emission_per_region_day"
            f" WHERE day = {_LATEST} ORDER BY region",
            every=10,
        ),
        "emission_per_complex": Query(
            "SELECT e.complex_id, c.name, c.region, c.lat, c.lon, c.households, e.day, e.kg_co2"
            " FROM emission_per_complex_day e JOIN complexes c USING (complex_id)"
            f" WHERE e.day = {_LATEST} AND c.lat IS NOT NULL ORDER BY 1",
            every=10,
        ),
        "emission_per_day": Query(
            "SELECT day, sum(kg_co2) AS kg_co2, bool_or(estimated) AS estimated FROM emission_per_region_day"
            f" WHERE day > {_LATEST} - 45 GROUP BY day ORDER BY day",
            every=10,
        ),
        "emission_forecast": Query(
            "SELECT id AS region, day, kg_co2, lower, upper, weather, model_version FROM emission_forecast"
            " WHERE scope = 'region' ORDER BY day, id",
            every=10,
        ),
    },
    details={
        "regions": {
            "emission_per_day": "SELECT day, kg_co2, complexes, estimated FROM emission_per_region_day"
            f" WHERE region = %(id)s AND {_DAYS.format(latest=_LATEST)} ORDER BY day",
            "emission_forecast": _FORECAST.format(scope="region") + " AND id = %(id)s ORDER BY day",
            "emission_per_month": "SELECT month, kg_co2, complexes FROM emission_per_region_month"
            f" WHERE region = %(id)s AND {_MONTHS} ORDER BY month",
            "complexes_of_region": "SELECT c.complex_id, c.name, c.households, m.month, m.kg_co2,"
            " m.kg_co2 / nullif(c.households, 0) AS per_household FROM complexes c LEFT JOIN LATERAL ("
            "SELECT month, kg_co2 FROM emission_per_complex_month m WHERE m.complex_id = c.complex_id"
            " ORDER BY month DESC LIMIT 1) m ON true WHERE c.region = %(id)s ORDER BY c.name",
        },
        "complexes": {
            "complex": "SELECT complex_id, name, region, address, households, heating, lat, lon FROM complexes"
            " WHERE complex_id = %(id)s",
            "emission_per_day": "SELECT day, kg_co2, estimated FROM emission_per_complex_day"
            f" WHERE complex_id = %(id)s AND {_DAYS.format(latest=_LATEST)} ORDER BY day",
            "emission_forecast": _FORECAST.format(scope="complex") + " AND id = %(id)s ORDER BY day",
            "emission_per_item": "SELECT month, kg_co2, electricity_kg, gas_kg, water_kg, heat_kg"
            f" FROM emission_per_complex_month WHERE complex_id = %(id)s AND {_MONTHS} ORDER BY month",
            "energy_usage": "SELECT month, electricity_kwh, gas_m3, water_m3, heat_mcal FROM energy_usage"
            f" WHERE complex_id = %(id)s AND {_MONTHS} ORDER BY month",
            "carbon_points": "SELECT half_year, points, electricity_points, gas_points, water_points,"
            " electricity_saving, gas_saving, water_saving, households FROM carbon_points"
            " WHERE complex_id = %(id)s ORDER BY half_year",
            "points_expected": "SELECT half_year, months, points, points_per_household, electricity_saving, gas_saving,"
            " water_saving, saved_kg, pine_trees FROM carbon_points_expected WHERE complex_id = %(id)s"
            " ORDER BY half_year",
        },
    },
)
