-- The rules of a valid request. What breaks one goes to the dead letters with "<reason>: <detail>"; a row whose point
-- can't be used breaks none: it has a result, which says why.
SELECT
    batch_id, sheet, `row_number`, source_crs, fault, `raw`,
    DECODE(x, 'UTF-8') AS x, DECODE(y, 'UTF-8') AS y, DECODE(payload, 'UTF-8') AS payload,
    CAST(written_at AS TIMESTAMP_LTZ(3)) AS written_at,
    -- A row has two versions, its own and that with its address: twice the time that it was written, in ms, and one more.
    2 * (CAST(TIMESTAMPDIFF(MINUTE, TO_TIMESTAMP_LTZ(0, 3), written_at) AS BIGINT) * 60000
        + EXTRACT(SECOND FROM written_at) * 1000 + EXTRACT(MILLISECOND FROM written_at)) AS version,
    COALESCE(`error`, CASE
        WHEN batch_id = '' THEN 'out-of-range: batch_id is empty'
        WHEN CHAR_LENGTH(batch_id) > 64 THEN 'too-long: batch_id has more than 64 characters'
        WHEN CHAR_LENGTH(sheet) > 100 THEN 'too-long: sheet has more than 100 characters'
        WHEN `row_number` NOT BETWEEN 1 AND 9007199254740991 THEN 'out-of-range: row_number is not 1 or more'
        WHEN CHAR_LENGTH(source_crs) > 4096 THEN 'too-long: source_crs has more than 4096 characters'
        WHEN CHAR_LENGTH(fault) > 4096 THEN 'too-long: fault has more than 4096 characters'
        WHEN DECODE(payload, 'UTF-8') NOT LIKE '[%' THEN 'wrong-type: payload is not an array'
        WHEN written_at < CAST('2000-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            OR written_at >= CAST('2100-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            THEN 'out-of-range: the record''s timestamp is not within the years 2000 to 2099'
    END) AS `error`,
    `topic`, `partition`, `offset`
FROM `${topic}`
