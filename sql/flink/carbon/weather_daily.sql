SELECT
    station, CAST(`day` AS DATE) AS `day`, mean_celsius, min_celsius, max_celsius, rain_mm, snow_cm, humidity_percent,
    version, CURRENT_TIMESTAMP AS updated_at
FROM weather_daily_result
