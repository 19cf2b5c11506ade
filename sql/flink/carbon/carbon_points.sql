SELECT
    complex_id, half_year, electricity + gas + water AS points,
    CASE WHEN households > 0 THEN (electricity + gas + water) / households ELSE 0 END AS points_per_household,
    electricity AS electricity_points, gas AS gas_points, water AS water_points,
    electricity_saving, gas_saving, water_saving,
    CAST(saved * 0.001 AS DECIMAL(16, 3)) AS saved_kg, pine_trees,
    households, version, CURRENT_TIMESTAMP AS updated_at
FROM carbon_points_result
