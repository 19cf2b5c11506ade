-- The ten shows that sold most today
SELECT
    show_name AS show, venue, region AS district, count(*) AS tickets, sum(price) AS "KRW"
FROM tickets
WHERE kind = 'sale' AND at >= date_trunc('day', now())
GROUP BY show_name, venue, region
ORDER BY tickets DESC
LIMIT 10
