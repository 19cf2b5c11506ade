-- The forecast of the next days, per region and per complex, and by which weather; the version grows with what is known
-- of the weather and with the model.
SELECT
    `scope`, `id`, CAST(`day` AS DATE) AS `day`,
    CAST(`kg_co2` AS DECIMAL(16, 3)) AS `kg_co2`, CAST(`lower` AS DECIMAL(16, 3)) AS `lower`,
    CAST(`upper` AS DECIMAL(16, 3)) AS `upper`, `weather`, `model_version`, `version`, CURRENT_TIMESTAMP AS `updated_at`
FROM emission_forecast_result
