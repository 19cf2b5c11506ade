-- Written too late for the windows of their minute: not in ticket_sales_per_minute, and therefore here.
SELECT kind, ticket_id, `at`, show_id, revenue, CURRENT_TIMESTAMP AS seen_at FROM late
