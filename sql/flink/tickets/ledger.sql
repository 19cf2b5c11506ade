SELECT kind, ticket_id, `at`, show_id, show_name, venue, region, seat, price, buyer_id, channel FROM sales
