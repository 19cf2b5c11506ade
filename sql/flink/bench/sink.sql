CREATE TEMPORARY TABLE ${total} (`day` DATE, `key` STRING, orders BIGINT, pay BIGINT, charge BIGINT)
WITH ('connector' = 'blackhole')
