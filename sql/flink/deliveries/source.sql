-- Delivery orders as they come. Every column may be null, because a record that can't be decoded is a row too:
-- one with its error, its raw bytes and its place in the topic.
CREATE TEMPORARY TABLE deliveries (
    order_id        STRING,
    ordered_at      TIMESTAMP_LTZ(3),
    store_id        INT,
    store_name      STRING,
    category        STRING,
    menu            STRING,
    pay             INT,
    delivery_charge INT,
    payment_method  STRING,
    complex_id      STRING,
    region          STRING,
    address         STRING,
    lat             DOUBLE,
    lon             DOUBLE,
    `raw`           BYTES METADATA FROM 'value.raw' VIRTUAL,
    `error`         STRING METADATA FROM 'value.error' VIRTUAL,
    `topic`         STRING METADATA VIRTUAL,
    `partition`     INT METADATA VIRTUAL,
    `offset`        BIGINT METADATA VIRTUAL
) WITH (
    ${kafka},
    'format' = 'record-json',
    'record-json.optional' = 'complex_id'
)
