SELECT CAST(`day` AS DATE) AS `day`, orders, pay, charge, orders AS version, CURRENT_TIMESTAMP AS updated_at
FROM totals
WHERE total = 'charge_per_day'
