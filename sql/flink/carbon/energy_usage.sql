SELECT
    complex_id, CAST(`month` || '-01' AS DATE) AS `month`, electricity_kwh, gas_m3, water_m3, heat_mcal,
    version, CURRENT_TIMESTAMP AS updated_at
FROM energy_usage_result
