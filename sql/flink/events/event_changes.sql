SELECT
    event_id, TO_TIMESTAMP_LTZ(updated, 3) AS updated, update_type, changed, TO_TIMESTAMP_LTZ(seen_at, 3) AS seen_at
FROM changed
