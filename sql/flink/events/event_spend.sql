SELECT
    CAST(`bucket` AS DATE) AS `day`, SPLIT_INDEX(`key`, '|', 0) AS country, SPLIT_INDEX(`key`, '|', 1) AS category,
    events, spend, attendance, records AS version, CURRENT_TIMESTAMP AS updated_at
FROM event_spend_sums
