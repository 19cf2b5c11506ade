-- What each issue of a weather forecast said of a day.
SELECT
    station, kind, TO_TIMESTAMP_LTZ(issued_at, 3) AS issued_at, CAST(`day` AS DATE) AS `day`,
    mean_celsius, min_celsius, max_celsius, rain_mm, rain_percent, version, CURRENT_TIMESTAMP AS updated_at
FROM weather_forecast_result
