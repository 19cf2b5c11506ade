SELECT
    origin, destination, `day`, flight, country, departs_at, arrives_at, amount, currency,
    TO_TIMESTAMP_LTZ(fetched_at, 3) AS fetched_at, TO_TIMESTAMP_LTZ(expires_at, 3) AS expires_at,
    fetched_at AS version, CURRENT_TIMESTAMP AS updated_at
FROM flights_found
