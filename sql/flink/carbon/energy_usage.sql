SELECT
    complex_id, CAST(`month` || '-01' AS DATE) AS `month`,
    electricity AS electricity_kwh, gas AS gas_m3, water AS water_m3, heat AS heat_mcal,
    electricity_source, gas_source, water_source, heat_source,
    version, CURRENT_TIMESTAMP AS updated_at
FROM energy_usage_result
