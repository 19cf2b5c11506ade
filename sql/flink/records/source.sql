-- Records as they lie in the topic: nothing is decoded here, so that nothing can fail or be dropped.
CREATE TEMPORARY TABLE `${topic}` (
    `key`       STRING,
    `value`     BYTES,
    `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
    `topic`     STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset`    BIGINT METADATA VIRTUAL
) WITH (
    ${kafka},
    'key.format' = 'raw',
    'key.fields' = 'key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
