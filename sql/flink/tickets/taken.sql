-- How many seats of a show were taken, less those given back. Its net is over all days: the bucket is always the same.
-- No venue's name holds the separator.
SELECT CONCAT_WS('|', venue, show_id) AS `show`, taken, DATE '1970-01-01' AS `day` FROM taken
