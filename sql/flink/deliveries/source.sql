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
    'connector' = 'kafka',
    'topic' = '${topic}',
    'properties.bootstrap.servers' = '${bootstrap_servers}',
    'properties.group.id' = '${group}',
    'properties.isolation.level' = 'read_committed',
    -- Fewer, larger answers: less work for brokers and job (docs/decisions/0018).
    'properties.fetch.min.bytes' = '65536',
    'properties.fetch.max.wait.ms' = '200',
    -- A fresh start reads everything: the ledger and the totals absorb what they already hold.
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '${bounded}',
    'scan.topic-partition-discovery.interval' = '10 s',
    'format' = 'record-json',
    'record-json.optional' = 'complex_id'
)
