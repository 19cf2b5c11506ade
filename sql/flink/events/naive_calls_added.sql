-- Python sends the days of a naive pull as one row with arrays; they become a row each here, in the JVM.
SELECT TIMESTAMPADD(DAY, CAST(`day` AS INT), CAST('1970-01-01' AS DATE)) AS `day`, operation, calls[n] AS calls
FROM naive CROSS JOIN UNNEST(`days`) WITH ORDINALITY AS d (`day`, n)
