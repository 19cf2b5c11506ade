SELECT
    place, provider, place_id, kind, name, lat, lon, metres, attribution,
    TO_TIMESTAMP_LTZ(fetched_at, 3) AS fetched_at, TO_TIMESTAMP_LTZ(expires_at, 3) AS expires_at,
    fetched_at AS version, CURRENT_TIMESTAMP AS updated_at
FROM places_found
