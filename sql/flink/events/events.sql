-- The latest version of each event; of two, the one that was updated later.
SELECT
    event_id, title, category, country, `scope`, `timezone`, lat, lon, place, airport,
    TO_TIMESTAMP_LTZ(start_at, 3) AS start_at, TO_TIMESTAMP_LTZ(end_at, 3) AS end_at, start_day, end_day,
    `rank`, local_rank, attendance, spend, `state`, deleted_reason, update_type,
    TO_TIMESTAMP_LTZ(updated, 3) AS updated, flaws,
    updated AS version, CURRENT_TIMESTAMP AS updated_at
FROM latest
