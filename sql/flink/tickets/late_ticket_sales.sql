-- Later than the windows of their minute were kept: not in ticket_sales_per_minute, and therefore here.
SELECT
    CASE WHEN sold = 1 THEN 'sale' ELSE 'cancellation' END AS kind, ticket_id, `at`, show_id, revenue,
    CURRENT_TIMESTAMP AS seen_at
FROM late
