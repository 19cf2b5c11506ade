-- Versions of events as they lie in the topic, with what tells whether one is newer; all else is Python's to read, from
-- the raw bytes. A record that can't be decoded is a row too, without those columns.
CREATE TEMPORARY TABLE `events.raw` (
    `key`       STRING,
    id          STRING,
    updated     TIMESTAMP_LTZ(3),
    `state`     STRING,
    `value`     BYTES METADATA FROM 'value.raw' VIRTUAL,
    `error`     STRING METADATA FROM 'value.error' VIRTUAL,
    `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
    `topic`     STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset`    BIGINT METADATA VIRTUAL
) WITH (
    ${kafka},
    'key.format' = 'raw',
    'key.fields' = 'key',
    'value.format' = 'record-json',
    'value.fields-include' = 'EXCEPT_KEY'
)
