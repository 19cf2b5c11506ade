SELECT
    batch_id, sheet, `row_number`, lon, lat, address, region, legal_code, status, error, payload, version,
    CURRENT_TIMESTAMP AS updated_at
FROM addressed
