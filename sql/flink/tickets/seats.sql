-- What says who holds a seat.
SELECT kind = 'sale' AS sale, ticket_id, `at`, written_at, show_id, venue, seat FROM facts
