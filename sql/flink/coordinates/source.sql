-- Rows of uploaded files as they come. Every column may be null, because a record that can't be decoded is a row too:
-- one with its error, its raw bytes and its place in the topic. What is BYTES is JSON as it stands: a coordinate is
-- whatever stood in the file, and what is none is told in the results.
CREATE TEMPORARY TABLE `${topic}` (
    batch_id    STRING,
    sheet       STRING,
    `row_number`  BIGINT,
    x           BYTES,
    y           BYTES,
    source_crs  STRING,
    payload     BYTES,
    fault       STRING,
    `raw`       BYTES METADATA FROM 'value.raw' VIRTUAL,
    `error`     STRING METADATA FROM 'value.error' VIRTUAL,
    `topic`     STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset`    BIGINT METADATA VIRTUAL,
    written_at  TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
    ${kafka},
    'format' = 'record-json',
    'record-json.optional' = 'x;y;fault',
    -- A row of a file; Kafka takes no record above 1 MiB.
    'record-json.max-string-bytes' = '1048576'
)
