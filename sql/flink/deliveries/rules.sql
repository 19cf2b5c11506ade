-- The rules of a valid order. What breaks one goes to the dead letters with "<reason>: <detail>".
SELECT
    order_id, ordered_at, store_id, store_name, category, menu, pay, delivery_charge, payment_method, complex_id,
    region, address, lat, lon, `raw`,
    COALESCE(`error`, CASE
        WHEN order_id = '' THEN 'out-of-range: order_id is empty'
        WHEN CHAR_LENGTH(order_id) > 64 THEN 'too-long: order_id has more than 64 characters'
        -- Keys of totals: PostgreSQL and Elasticsearch bound the length of a key.
        WHEN CHAR_LENGTH(category) > 100 THEN 'too-long: category has more than 100 characters'
        WHEN CHAR_LENGTH(complex_id) > 64 THEN 'too-long: complex_id has more than 64 characters'
        WHEN ordered_at < CAST('2000-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            OR ordered_at >= CAST('2100-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            THEN 'out-of-range: ordered_at is not within the years 2000 to 2099'
        WHEN pay < 0 THEN 'out-of-range: pay is negative'
        WHEN delivery_charge < 0 THEN 'out-of-range: delivery_charge is negative'
        WHEN NOT REGEXP(region, '^[0-9]{5}\z') THEN 'out-of-range: region is not a code of 5 digits'
        WHEN complex_id = '' THEN 'out-of-range: complex_id is empty; where there is none, send null'
        -- Korea with its islands. Swapped coordinates never fall inside.
        WHEN lat NOT BETWEEN 33.0 AND 38.7 THEN 'out-of-range: lat is not in Korea (33.0 to 38.7)'
        WHEN lon NOT BETWEEN 124.5 AND 132.0 THEN 'out-of-range: lon is not in Korea (124.5 to 132.0)'
    END) AS `error`,
    `topic`, `partition`, `offset`
FROM deliveries
