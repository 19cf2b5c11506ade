-- Paid per category today, in KRW
SELECT category, orders, pay AS krw
FROM pay_per_category
WHERE day = CURRENT_DATE
ORDER BY pay DESC
