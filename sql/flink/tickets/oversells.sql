SELECT
    show_id, seat, first_ticket_id, second_ticket_id, CAST(`at` AS TIMESTAMP_LTZ(3)) AS `at`,
    CURRENT_TIMESTAMP AS seen_at
FROM oversold
