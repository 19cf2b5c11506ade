-- The topic of delivery orders, read the way a Flink SQL user would: Flink's own JSON format, to the topic's present end.
CREATE TEMPORARY TABLE deliveries (
    ordered_at      TIMESTAMP_LTZ(3),
    category        STRING,
    pay             INT,
    delivery_charge INT,
    complex_id      STRING,
    region          STRING
) WITH (
    'connector' = 'kafka',
    'topic' = 'deliveries',
    'properties.bootstrap.servers' = '${bootstrap_servers}',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = 'latest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601',
    'json.ignore-parse-errors' = 'true'
)
