-- What the totals need of an order. Its day is a key, not a window: a late order counts in its own day.
SELECT order_id, CAST(ordered_at AS DATE) AS `day`, region, category, complex_id, pay, delivery_charge
FROM orders
