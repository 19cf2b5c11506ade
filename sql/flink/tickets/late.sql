SELECT kind, ticket_id, `at`, show_id, sold, cancelled, revenue FROM facts WHERE late
