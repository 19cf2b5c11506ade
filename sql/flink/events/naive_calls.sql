SELECT
    CAST(`bucket` AS DATE) AS `day`, `key` AS operation, calls, records AS version, CURRENT_TIMESTAMP AS updated_at
FROM naive_calls_sums
