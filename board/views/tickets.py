"""Tickets on the board: running sales per district and minute, shows, seats sold twice."""

from board.view import Listing, Query, View

# A show's name and place are in each of its sales.
_SHOW = (
    "LEFT JOIN LATERAL (SELECT show_name, venue, region FROM tickets t WHERE t.show_id = s.show_id"
    " ORDER BY at DESC LIMIT 1) t ON true"
)

VIEW = View(
    sections={
        "sales_per_region": Query(
            "SELECT region, day, sold, cancelled, revenue FROM ticket_sales_per_region"
            " WHERE day = (SELECT max(day) FROM ticket_sales_per_region WHERE day <= current_date) ORDER BY region"
        ),
        "sales_per_minute": Query(
            "SELECT minute, sum(sold)::bigint AS sold, sum(cancelled)::bigint AS cancelled,"
            " sum(revenue)::bigint AS revenue FROM ticket_sales_per_minute"
            " WHERE minute >= now() - %(seconds)s * interval '1 s' AND minute < now() + interval '1 min' GROUP BY 1",
            every=2,
            key="minute",
            order="minute",
            window=3600,
            edge=600,
            keep=60,
        ),
        "ticket_alarms": Query(
            "SELECT s.*, t.show_name FROM ("
            "(SELECT 'oversell' AS kind, show_id, seat, NULL::bigint AS seats, seen_at FROM oversells"
            " ORDER BY seen_at DESC LIMIT 20) UNION ALL"
            " (SELECT 'sold_out', show_id, NULL, seats, seen_at FROM sold_out_shows ORDER BY seen_at DESC LIMIT 20)"
            f" ORDER BY seen_at DESC LIMIT 20) s {_SHOW} ORDER BY s.seen_at DESC",
            every=2,
        ),
        "best_shows": Query(
            "SELECT s.show_id, t.show_name, t.venue, t.region, s.sold, s.revenue FROM (SELECT show_id,"
            " sum(sold - cancelled)::bigint AS sold, sum(revenue)::bigint AS revenue FROM ticket_sales_per_minute"
            " WHERE minute >= now() - interval '1 h' AND minute < now() + interval '1 min'"
            f" GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 8) s {_SHOW} ORDER BY s.revenue DESC, s.show_id",
            every=5,
        ),
    },
    details={
        "regions": {
            "sales_per_day": "SELECT day, sold, cancelled, revenue FROM ticket_sales_per_region WHERE region = %(id)s"
            " AND day BETWEEN coalesce(%(from)s::date, current_date - 29) AND coalesce(%(to)s::date, current_date)"
            " ORDER BY day"
        },
        "shows": {
            "show": "SELECT s.*, t.show_name, t.venue, t.region, o.seats AS sold_out_at_seats, o.seen_at AS sold_out_at"
            " FROM (SELECT show_id, sum(sold)::bigint AS sold, sum(cancelled)::bigint AS cancelled,"
            " sum(revenue)::bigint AS revenue,"
            " (SELECT min(minute) FROM ticket_sales_per_minute WHERE show_id = %(id)s) AS first_sale,"
            " (SELECT max(minute) FROM ticket_sales_per_minute WHERE show_id = %(id)s) AS last_sale"
            f" FROM ticket_sales_per_show WHERE show_id = %(id)s GROUP BY 1) s {_SHOW}"
            " LEFT JOIN sold_out_shows o ON o.show_id = s.show_id",
            "show_sales": "SELECT minute, sold, cancelled, revenue FROM ticket_sales_per_minute"
            " WHERE show_id = %(id)s AND minute >= coalesce(%(from)s::date, now() - interval '1 day')"
            " AND minute < coalesce(%(to)s::date + 1, now() + interval '1 min') ORDER BY minute",
            "show_oversells": "SELECT seat, first_ticket_id, second_ticket_id, at, seen_at FROM oversells"
            " WHERE show_id = %(id)s ORDER BY seen_at DESC LIMIT 1000",
            "show_tickets": "SELECT at, kind, seat, price, channel, ticket_id FROM tickets WHERE show_id = %(id)s"
            " AND at >= coalesce(%(from)s::date, now() - interval '1 day')"
            " AND at < coalesce(%(to)s::date + 1, now() + interval '1 min') ORDER BY at DESC LIMIT 1000",
        },
    },
    listings={
        "shows": Listing(
            # Of the days that the range touches.
            source="(SELECT s.*, t.show_name, t.venue, t.region FROM (SELECT show_id, sum(sold)::bigint AS sold,"
            " sum(cancelled)::bigint AS cancelled, sum(revenue)::bigint AS revenue, max(day) AS last_day"
            " FROM ticket_sales_per_show WHERE day >= %(from)s::timestamptz::date"
            " AND day <= (%(to)s::timestamptz - interval '1 microsecond')::date GROUP BY 1) s"
            f" {_SHOW}) shows",
            columns=("show_name", "show_id", "venue", "region", "sold", "cancelled", "revenue", "last_day"),
            order="revenue",
            key=("show_id",),
            filters=("region", "venue"),
            search=("show_name", "venue", "show_id"),
        ),
    },
    pages=("/shows",),
)
