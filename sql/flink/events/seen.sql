-- A version has an `updated` here only where jobs/rules/events/event.py surely takes it. A record that becomes a dead
-- letter must hide no version behind it, and must not be hidden: so these rules may be narrower than Python's, and never
-- wider. Flink's days are those of a time zone, hence the margin of the years.
SELECT
    `key`,
    CASE
        WHEN `error` IS NULL AND `key` = id AND CHAR_LENGTH(id) BETWEEN 1 AND 64
            AND `state` IN ('active', 'predicted', 'deleted')
            AND updated >= CAST('1901-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            AND updated < CAST('2199-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
        THEN updated
    END AS updated,
    `value`, CAST(`timestamp` AS TIMESTAMP_LTZ(3)) AS `timestamp`, `topic`, `partition`, `offset`
FROM `events.raw`
