-- What a version adds to its day, country and category, and takes away of what the one before it added.
SELECT CAST(`day` AS DATE) AS `day`, market, events, spend, attendance FROM spend
