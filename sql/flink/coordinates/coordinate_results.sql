SELECT
    batch_id, sheet, `row_number`, converted.found.lon AS lon, converted.found.lat AS lat,
    CAST(NULL AS STRING) AS address, converted.found.region AS region, converted.found.legal_code AS legal_code,
    converted.found.status AS status, converted.found.error AS error, payload, version,
    CURRENT_TIMESTAMP AS updated_at
FROM converted
