'connector' = 'kafka',
    'topic' = '${topic}',
    'properties.bootstrap.servers' = '${bootstrap_servers}',
    'properties.group.id' = '${group}',
    'properties.isolation.level' = 'read_committed',
    -- Fewer, larger answers: less work for brokers and job (docs/decisions/0018).
    'properties.fetch.min.bytes' = '65536',
    'properties.fetch.max.wait.ms' = '200',
    -- A fresh start reads everything, a backfill a part: tables and documents absorb what they already hold.
    ${start},
    'scan.bounded.mode' = '${bounded}',
    'scan.topic-partition-discovery.interval' = '10 s'
