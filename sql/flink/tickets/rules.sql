-- The rules of a valid sale or cancellation. What breaks one goes to the dead letters with "<reason>: <detail>".
SELECT
    kind, ticket_id, `at`, show_id, show_name, venue, region, seat, price, buyer_id, channel, `raw`,
    -- Told by the record alone, so that a replay, and one from the beginning, tells alike.
    TIMESTAMPADD(SECOND, 60 + ${late_after}, FLOOR(`at` TO MINUTE))
        <= CAST(written_at AS TIMESTAMP_LTZ(3)) AS late,
    CAST(written_at AS TIMESTAMP_LTZ(3)) AS written_at,
    COALESCE(`error`, CASE
        WHEN kind NOT IN ('sale', 'cancellation') THEN 'out-of-range: kind is neither sale nor cancellation'
        WHEN ticket_id = '' THEN 'out-of-range: ticket_id is empty'
        WHEN CHAR_LENGTH(ticket_id) > 64 THEN 'too-long: ticket_id has more than 64 characters'
        WHEN show_id = '' THEN 'out-of-range: show_id is empty'
        WHEN CHAR_LENGTH(show_id) > 64 THEN 'too-long: show_id has more than 64 characters'
        WHEN seat = '' THEN 'out-of-range: seat is empty'
        WHEN CHAR_LENGTH(seat) > 64 THEN 'too-long: seat has more than 64 characters'
        WHEN CHAR_LENGTH(venue) > 100 THEN 'too-long: venue has more than 100 characters'
        WHEN `at` < CAST('2000-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            OR `at` >= CAST('2100-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
            THEN 'out-of-range: at is not within the years 2000 to 2099'
        -- Against the record's own time, so that a replay judges alike.
        WHEN `at` > written_at + INTERVAL '10' MINUTE
            THEN 'out-of-range: at is more than 10 minutes after the record was written'
        WHEN price < 0 THEN 'out-of-range: price is negative'
        WHEN NOT REGEXP(region, '^[0-9]{5}\z') THEN 'out-of-range: region is not a code of 5 digits'
    END) AS `error`,
    `topic`, `partition`, `offset`
FROM tickets
