-- What a half-year is expected to bring; carbon_points has what it brought.
SELECT
    complex_id, half_year, months, electricity + gas + water AS points,
    CASE WHEN households > 0 THEN (electricity + gas + water) / households ELSE 0 END AS points_per_household,
    electricity AS electricity_points, gas AS gas_points, water AS water_points,
    electricity_saving, gas_saving, water_saving,
    electricity_so_far AS electricity_saving_so_far, gas_so_far AS gas_saving_so_far,
    water_so_far AS water_saving_so_far,
    CAST(saved * 0.001 AS DECIMAL(16, 3)) AS saved_kg, pine_trees,
    households, version, CURRENT_TIMESTAMP AS updated_at
FROM carbon_points_expected_result
