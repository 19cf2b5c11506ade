SELECT show_id, venue, seats, CURRENT_TIMESTAMP AS seen_at FROM sold_out
