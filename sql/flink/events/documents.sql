-- One document per event, its latest version. Columns with a leading underscore are about the document, not in it. What
-- was deleted takes place at no time, so that it is on no dashboard.
SELECT
    event_id AS _id, updated AS _version,
    event_id, title, category, country, `scope`, `timezone`,
    CASE WHEN lat IS NOT NULL THEN ARRAY[lon, lat] END AS `position`, airport,
    CASE WHEN `state` <> 'deleted' THEN TO_TIMESTAMP_LTZ(start_at, 3) END AS takes_place_at,
    TO_TIMESTAMP_LTZ(start_at, 3) AS start_at, TO_TIMESTAMP_LTZ(end_at, 3) AS end_at,
    CAST(start_day AS DATE) AS start_day, CAST(end_day AS DATE) AS end_day,
    `rank`, local_rank, attendance, spend, `state`, deleted_reason, update_type,
    TO_TIMESTAMP_LTZ(updated, 3) AS updated, flaws
FROM latest
