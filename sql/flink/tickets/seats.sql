-- What says who holds a seat.
SELECT kind = 'sale' AS sale, ticket_id, `at`, CAST(written_at AS TIMESTAMP_LTZ(3)) AS written_at, show_id, venue, seat
FROM facts
