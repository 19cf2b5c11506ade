-- One document per order. Columns with a leading underscore are about the document, not in it. Of an order that was
-- published twice the ledger keeps the first, so the first has the highest version: offsets count down from 2^53 - 1.
SELECT
    order_id AS _id, 9007199254740991 - `offset` AS _version,
    `topic` AS _topic, `partition` AS _partition, `offset` AS _offset,
    order_id, ordered_at, CAST(ordered_at AS DATE) AS `day`, store_id, store_name, category, menu, pay,
    delivery_charge, payment_method, complex_id, region, address, ARRAY[lon, lat] AS location
FROM orders
