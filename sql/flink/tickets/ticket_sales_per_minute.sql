SELECT `minute`, show_id, sold, cancelled, revenue, version, CURRENT_TIMESTAMP AS updated_at FROM minutes
