SELECT show_id, seat, first_ticket_id, second_ticket_id, `at`, CURRENT_TIMESTAMP AS seen_at FROM oversold
