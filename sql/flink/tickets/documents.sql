-- One document per sale and per cancellation, where the venue is. Columns with a leading underscore are about the
-- document, not in it. Of one that was published twice the ledger keeps the first, so the first has the highest version.
SELECT
    CONCAT_WS('|', kind, ticket_id) AS _id, 9007199254740991 - `offset` AS _version,
    `topic` AS _topic, `partition` AS _partition, `offset` AS _offset,
    kind, ticket_id, `at`, CAST(`at` AS DATE) AS `day`, show_id, show_name, venue, region, seat, price, buyer_id, channel,
    ${location} AS location
FROM sales
