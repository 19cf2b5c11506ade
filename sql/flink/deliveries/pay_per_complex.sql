SELECT CAST(`day` AS DATE) AS `day`, `key` AS complex_id, orders, pay, charge, orders AS version, CURRENT_TIMESTAMP AS updated_at
FROM totals
WHERE total = 'pay_per_complex'
