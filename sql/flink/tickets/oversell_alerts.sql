-- The id tells a repeat: of each part but the last it has the length, so that no two alarms share one.
SELECT
    CONCAT_WS('|', 'oversell', CAST(CHAR_LENGTH(show_id) AS STRING), show_id, CAST(CHAR_LENGTH(seat) AS STRING), seat,
        second_ticket_id) AS alert_id,
    'oversell' AS kind, show_id, seat, first_ticket_id, second_ticket_id, `at`, seen_at
FROM oversells
