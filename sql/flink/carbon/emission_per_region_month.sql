SELECT
    region, CAST(`month` || '-01' AS DATE) AS `month`, CAST(total * 0.001 AS DECIMAL(16, 3)) AS kg_co2,
    CAST(gap * 0.001 AS DECIMAL(16, 3)) AS gap_kg, complexes,
    version, CURRENT_TIMESTAMP AS updated_at
FROM emission_per_region_month_result
