SELECT CONCAT_WS('|', 'sold-out', show_id) AS alert_id, 'sold-out' AS kind, show_id, venue, seats, seen_at
FROM sold_out_shows
