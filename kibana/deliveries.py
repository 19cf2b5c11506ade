"""The deliveries stream in Kibana: orders as they come, and what is paid per day."""

from kibana.city import EVERYWHERE, REGIONS, per_district
from kibana.dashboards import LAST_WEEK, TOMORROW, daily, link, live
from kibana.lens import bars, count, metric, number, shares, table, time, top
from kibana.maps import city_map, live_map
from kibana.objects import SavedObject, data_view, day_format, saved_search

DAY = {"day": day_format()}
PLACES = len(EVERYWHERE)

ORDERS = data_view(
    "deliveries",
    "orders",
    time="ordered_at",
    formats={"region": REGIONS, **DAY},
    labels={"pay": "pay, KRW", "delivery_charge": "delivery charge, KRW", "address.keyword": "address"},
)
PER_DESTINATION = data_view(
    "pay_per_destination", "pay per destination and day", time="day", formats={"region": REGIONS, **DAY}
)
PER_CATEGORY = data_view("pay_per_category", "pay per category and day", time="day", formats=DAY)
PER_COMPLEX = data_view("pay_per_complex", "pay per apartment complex and day", time="day", formats=DAY)
PER_DAY = data_view("charge_per_day", "pay and delivery charge per day", time="day", formats=DAY)

# Orders now: every panel reads the documents of single orders, within the dashboard's time range.

ORDER_COUNT = number("orders-count", "orders", ORDERS, count("Orders"))
ORDER_PAY = number("orders-pay", "paid", ORDERS, metric("sum", "pay", "Paid, KRW"))
ORDER_MEAN = number("orders-mean-pay", "paid per order", ORDERS, metric("average", "pay", "Paid per order, KRW"))
ORDER_COMPLEXES = number(
    "orders-complexes", "complexes that ordered", ORDERS, metric("unique_count", "complex_id", "Complexes that ordered")
)
ORDERS_PER_MINUTE = bars(
    "orders-per-minute",
    "orders per minute, by category",
    ORDERS,
    time("ordered_at", "Time of the order"),
    [count("Orders per minute", per="m")],
    split=top("category", "Category", 6),
)
PAY_PER_MINUTE = bars(
    "orders-pay-per-minute",
    "pay per minute",
    ORDERS,
    time("ordered_at", "Time of the order"),
    [metric("sum", "pay", "Paid per minute, KRW", per="m")],
    kind="line",
)
PAY_BY_CATEGORY = bars(
    "orders-by-category",
    "pay by category",
    ORDERS,
    top("category", "Category", 12),
    [metric("sum", "pay", "Paid, KRW")],
    kind="bar_horizontal",
)
PAY_BY_DESTINATION = bars(
    "orders-by-destination",
    "pay by destination",
    ORDERS,
    top("region", "District", PLACES),
    [metric("sum", "pay", "Paid, KRW")],
    kind="bar_horizontal",
)
PAYMENT_METHODS = shares(
    "orders-by-payment-method", "payment methods", ORDERS, top("payment_method", "Payment method", 8), count("Orders")
)
NEWEST_ORDERS = saved_search(
    "orders-newest",
    "newest orders",
    ORDERS,
    columns=["store_name", "category", "menu", "pay", "delivery_charge", "payment_method", "region", "address"],
    newest_by="ordered_at",
    description="Single orders, newest first.",
)
LIVE_MAP = live_map(
    "orders-map",
    "orders now",
    ORDERS,
    squares="Orders per square: the darker, the more pay",
    newest="Newest order of each complex: larger is more pay, colour is the category",
    number="pay",
    kind="category",
    sizes=(4, 14),
    per="complex_id",
    by="ordered_at",
    tooltip=["ordered_at", "store_name", "category", "menu", "pay", "payment_method", "address.keyword"],
    description="Squares: orders and their pay. Points: the newest order of each apartment complex; orders to other "
    "addresses are in the squares only.",
)
ORDERS_NOW = live(
    "orders-now",
    "orders now",
    "**Orders of the last hour**, refreshed every 10 seconds; the time range is at the top right. On the map, squares "
    "are orders and their pay, and points the newest order of each apartment complex.\n\n"
    f"More: {link('pay-per-day', 'pay per day')} · {link('carbon', 'carbon emission')}",
    [
        (6, [(ORDER_COUNT, 12), (ORDER_PAY, 12), (ORDER_MEAN, 12), (ORDER_COMPLEXES, 12)]),
        (22, [(LIVE_MAP, 48)]),
        (13, [(ORDERS_PER_MINUTE, 28), (PAY_PER_MINUTE, 20)]),
        (14, [(PAY_BY_CATEGORY, 18), (PAY_BY_DESTINATION, 18), (PAYMENT_METHODS, 12)]),
        (16, [(NEWEST_ORDERS, 48)]),
    ],
    description="Orders as they come: count, pay, place, category and payment method, and the newest ones.",
)

# Pay per day: every panel reads running totals, which have one document per day and key.

PAID = metric("sum", "pay", "Paid, KRW")
DAILY_ORDERS = metric("sum", "orders", "Orders")
DAILY_CHARGE = metric("sum", "charge", "Delivery charge, KRW")

DAYS_ORDERS = number("days-orders", "orders of these days", PER_DAY, DAILY_ORDERS)
DAYS_PAY = number("days-pay", "paid on these days", PER_DAY, PAID)
DAYS_CHARGE = number("days-charge", "delivery charge of these days", PER_DAY, DAILY_CHARGE)
PAY_PER_DAY = bars(
    "days-pay-by-category",
    "pay per day, by category",
    PER_CATEGORY,
    time("day", "Day", interval="1d"),
    [PAID],
    split=top("category", "Category", 12),
)
CHARGE_PER_DAY = bars(
    "days-charge-per-day", "delivery charge per day", PER_DAY, time("day", "Day", interval="1d"), [DAILY_CHARGE]
)
PER_DESTINATION_TABLE = table(
    "days-by-destination",
    "pay per destination",
    PER_DESTINATION,
    [top("region", "District", PLACES)],
    [PAID, DAILY_ORDERS, DAILY_CHARGE],
)
PER_COMPLEX_TABLE = table(
    "days-by-complex",
    "the 20 complexes that paid most",
    PER_COMPLEX,
    [top("complex_id", "Complex", 20)],
    [PAID, DAILY_ORDERS],
)
DESTINATIONS_MAP = city_map(
    "destinations-map",
    "pay per destination",
    [
        per_district(
            "Pay per destination: larger and darker is more", PER_DESTINATION, "Blues", "pay", "orders", "charge"
        )
    ],
    description="One point per district, in the middle of its area: the pay of all its orders on the days of the time "
    "range. Refreshed every 10 seconds.",
    since=LAST_WEEK,
    until=TOMORROW,
)
PAY_DASHBOARD = daily(
    "pay-per-day",
    "pay per day",
    "**What is paid per day**, out of the running totals of the deliveries job; a late order counts in its own day. "
    "The time range is the last seven days, today included. On the map, each point is a district.\n\n"
    f"More: {link('orders-now', 'orders now')} · {link('carbon', 'carbon emission')}",
    [
        (6, [(DAYS_ORDERS, 16), (DAYS_PAY, 16), (DAYS_CHARGE, 16)]),
        (20, [(DESTINATIONS_MAP, 28), (PER_DESTINATION_TABLE, 20)]),
        (14, [(PAY_PER_DAY, 28), (CHARGE_PER_DAY, 20)]),
        (16, [(PER_COMPLEX_TABLE, 48)]),
    ],
    description="Running totals per day: pay, orders and delivery charge per destination, category and complex.",
)

DASHBOARDS: list[SavedObject] = [ORDERS_NOW, PAY_DASHBOARD]
