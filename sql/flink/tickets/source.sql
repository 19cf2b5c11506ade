-- Ticket sales and cancellations as they come. Every column may be null, because a record that can't be decoded is a row
-- too: one with its error, its raw bytes and its place in the topic.
CREATE TEMPORARY TABLE tickets (
    kind        STRING,
    ticket_id   STRING,
    `at`        TIMESTAMP_LTZ(3),
    show_id     STRING,
    show_name   STRING,
    venue       STRING,
    region      STRING,
    seat        STRING,
    price       INT,
    buyer_id    STRING,
    channel     STRING,
    `raw`       BYTES METADATA FROM 'value.raw' VIRTUAL,
    `error`     STRING METADATA FROM 'value.error' VIRTUAL,
    `topic`     STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset`    BIGINT METADATA VIRTUAL,
    written_at  TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    -- All that was written before has come. Each partition has its own, and the least of them counts; one that is idle
    -- holds nobody up. A clock that runs ahead moves none.
    WATERMARK FOR written_at AS CASE
        WHEN written_at <= CURRENT_ROW_TIMESTAMP() THEN TIMESTAMPADD(SECOND, -${disorder}, written_at)
    END
) WITH (
    ${kafka},
    'scan.watermark.idle-timeout' = '${idle} s',
    'format' = 'record-json'
)
