"""Deliveries on the board: orders as they come, what is paid where, for what, and when."""

from board.view import Listing, Query, View

# A late order is in its own minute; the job makes it visible with its checkpoint.
_SINCE = "ordered_at >= now() - %(seconds)s * interval '1 s' AND ordered_at < now() + interval '1 min'"

VIEW = View(
    sections={
        "orders": Query(
            "SELECT order_id, ordered_at, region, category, left(store_name, 80) AS store, left(menu, 80) AS menu,"
            f" pay, lat, lon FROM delivery_information WHERE {_SINCE} ORDER BY ordered_at DESC LIMIT 300",
            key="order_id",
            order="ordered_at",
            window=60,
            edge=20,
            keep=300,
        ),
        "orders_per_minute": Query(
            "SELECT date_trunc('minute', ordered_at) AS minute, count(*) AS orders, sum(pay)::bigint AS pay"
            f" FROM delivery_information WHERE {_SINCE}"
            " AND ordered_at >= date_trunc('minute', now() - %(seconds)s * interval '1 s') + interval '1 min'"
            " GROUP BY 1",
            every=2,
            key="minute",
            order="minute",
            window=3600,
            edge=240,
            keep=60,
        ),
        "pay_per_destination": Query(
            "SELECT region, day, orders, pay, charge FROM pay_per_destination"
            " WHERE day = (SELECT max(day) FROM pay_per_destination WHERE day <= current_date) ORDER BY region"
        ),
        "pay_per_category": Query(
            "SELECT category, day, orders, pay FROM pay_per_category"
            " WHERE day = (SELECT max(day) FROM pay_per_category WHERE day <= current_date) ORDER BY pay DESC, category"
        ),
        "charge_per_day": Query(
            "SELECT day, orders, pay, charge FROM charge_per_day WHERE day BETWEEN current_date - 13 AND current_date"
            " ORDER BY day"
        ),
    },
    details={
        "regions": {
            "pay_per_day": "SELECT day, orders, pay, charge FROM pay_per_destination WHERE region = %(id)s"
            " AND day BETWEEN coalesce(%(from)s::date, current_date - 29) AND coalesce(%(to)s::date, current_date)"
            " ORDER BY day"
        },
        "complexes": {
            "pay_per_day": "SELECT day, orders, pay, charge FROM pay_per_complex WHERE complex_id = %(id)s"
            " AND day BETWEEN coalesce(%(from)s::date, current_date - 29) AND coalesce(%(to)s::date, current_date)"
            " ORDER BY day"
        },
    },
    listings={
        "orders": Listing(
            source="delivery_information",
            columns=(
                *("ordered_at", "order_id", "region", "complex_id", "category", "store_name", "menu", "pay"),
                *("delivery_charge", "payment_method", "address"),
            ),
            order="ordered_at",
            key=("order_id",),
            filters=("region", "category", "complex_id"),
            search=("store_name", "menu", "address", "order_id"),
            time="ordered_at",
            default_hours=0.25,
            most_hours=1,
        )
    },
    pages=("/orders",),
)
