SELECT show_id, `minute`, sold, cancelled, revenue, version, CURRENT_TIMESTAMP AS updated_at FROM minutes
