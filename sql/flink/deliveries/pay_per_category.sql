SELECT CAST(`day` AS DATE) AS `day`, `key` AS category, orders, pay, charge, orders AS version, CURRENT_TIMESTAMP AS updated_at
FROM totals
WHERE total = 'pay_per_category'
