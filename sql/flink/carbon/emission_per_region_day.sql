SELECT
    region, TIMESTAMPADD(DAY, n - 1, CAST(`month` || '-01' AS DATE)) AS `day`,
    CAST(grams * 0.001 AS DECIMAL(16, 3)) AS kg_co2,
    CAST(gaps[CAST(n AS INT)] * 0.001 AS DECIMAL(16, 3)) AS gap_kg, complexes, TRUE AS estimated,
    version, CURRENT_TIMESTAMP AS updated_at
FROM emission_per_region_day_result CROSS JOIN UNNEST(`days`) WITH ORDINALITY AS d (grams, n)
