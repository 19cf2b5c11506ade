INSERT INTO ${total}
SELECT CAST(ordered_at AS DATE), ${key}, COUNT(*), SUM(CAST(pay AS BIGINT)), SUM(CAST(delivery_charge AS BIGINT))
FROM deliveries
GROUP BY CAST(ordered_at AS DATE), ${key}
