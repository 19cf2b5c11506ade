-- Complexes that have an address and no position, keyed by what is asked: the address and, where it is another one, that
-- of the parcel, each a line. What breaks carbon's rules is its job's to refuse.
SELECT
    CASE WHEN COALESCE(TRIM(parcel), '') IN ('', TRIM(address)) THEN TRIM(address)
        ELSE CONCAT(TRIM(address), CHR(10), TRIM(parcel)) END AS `key`,
    ROW(complex_id, DECODE(`raw`, 'UTF-8'),
        CAST(TIMESTAMPDIFF(MINUTE, TO_TIMESTAMP_LTZ(0, 3), fetched_at) AS BIGINT) * 60000
            + EXTRACT(SECOND FROM fetched_at) * 1000 + EXTRACT(MILLISECOND FROM fetched_at)) AS `value`
FROM `${topic}` WHERE `error` IS NULL AND lat IS NULL AND lon IS NULL AND TRIM(address) <> ''
