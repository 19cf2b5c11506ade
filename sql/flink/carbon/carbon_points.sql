SELECT
    complex_id, half_year, electricity + gas + water AS points,
    electricity AS electricity_points, gas AS gas_points, water AS water_points,
    electricity_saving, gas_saving, water_saving, households, version, CURRENT_TIMESTAMP AS updated_at
FROM carbon_points_result
