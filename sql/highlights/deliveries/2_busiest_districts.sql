-- The busiest districts today
SELECT region, orders, pay AS krw
FROM pay_per_destination
WHERE day = CURRENT_DATE
ORDER BY orders DESC
LIMIT 3
