-- Rows that have a position and a region, keyed by the position: rows with the same one have the same address.
SELECT
    converted.found.`position` AS `key`,
    ROW(batch_id, sheet, `row_number`, converted.found.lon, converted.found.lat, converted.found.region,
        converted.found.legal_code, payload, version) AS `value`
FROM converted WHERE converted.found.status = 'waiting'
