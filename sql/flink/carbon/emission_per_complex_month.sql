SELECT
    complex_id, CAST(`month` || '-01' AS DATE) AS `month`,
    CAST(total * 0.001 AS DECIMAL(16, 3)) AS kg_co2,
    CAST(electricity * 0.001 AS DECIMAL(16, 3)) AS electricity_kg,
    CAST(gas * 0.001 AS DECIMAL(16, 3)) AS gas_kg,
    CAST(water * 0.001 AS DECIMAL(16, 3)) AS water_kg,
    CAST(heat * 0.001 AS DECIMAL(16, 3)) AS heat_kg,
    CAST(gap * 0.001 AS DECIMAL(16, 3)) AS gap_kg,
    electricity_source, gas_source, water_source, heat_source,
    version, CURRENT_TIMESTAMP AS updated_at
FROM emission_per_complex_month_result
