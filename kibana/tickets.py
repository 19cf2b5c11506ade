"""The tickets stream in Kibana: sales as they come, where they are for, and what is sold per day and district."""

from kibana.city import EVERYWHERE, REGIONS
from kibana.dashboards import daily, link, live
from kibana.lens import bars, count, metric, number, shares, table, time, top
from kibana.maps import live_map
from kibana.objects import SavedObject, data_view, day_format, saved_search

PLACES = len(EVERYWHERE)

SALES = data_view(
    "tickets",
    "ticket sales",
    time="at",
    formats={"region": REGIONS, "day": day_format()},
    labels={"price": "price, KRW", "show_name": "show"},
)
PER_REGION = data_view(
    "ticket_sales_per_region",
    "ticket sales per district and day",
    time="day",
    formats={"region": REGIONS, "day": day_format()},
)
PER_SHOW = data_view(
    "ticket_sales_per_show", "ticket sales per show and day", time="day", formats={"day": day_format()}
)

EVENTS = number("tickets-count", "sales and cancellations", SALES, count("Sales and cancellations"))
SHOWS = number("tickets-shows", "shows that sold", SALES, metric("unique_count", "show_id", "Shows that sold"))
MEAN_PRICE = number("tickets-mean-price", "mean price", SALES, metric("average", "price", "Mean price, KRW"))
PER_MINUTE = bars(
    "tickets-per-minute",
    "tickets per minute, sold and cancelled",
    SALES,
    time("at", "Time of the sale"),
    [count("Tickets per minute", per="m")],
    split=top("kind", "Kind", 2),
)
BY_SHOW = bars(
    "tickets-by-show",
    "tickets by show",
    SALES,
    top("show_name", "Show", 12),
    [count("Tickets")],
    kind="bar_horizontal",
)
BY_CHANNEL = shares("tickets-by-channel", "channels", SALES, top("channel", "Channel", 6), count("Tickets"))
NEWEST = saved_search(
    "tickets-newest",
    "newest ticket sales",
    SALES,
    columns=["kind", "show_name", "venue", "seat", "price", "channel", "region"],
    newest_by="at",
    description="Single sales and cancellations, newest first.",
)
VENUES_MAP = live_map(
    "tickets-map",
    "ticket sales now",
    SALES,
    squares="Tickets per square: the darker, the higher their prices",
    newest="Newest sale of each venue: larger is dearer, colour is the channel",
    number="price",
    kind="channel",
    sizes=(6, 18),
    per="venue",
    by="at",
    tooltip=["at", "kind", "show_name", "venue", "seat", "price", "channel"],
    description="Squares: sales and cancellations by their venue. Points: the newest of each venue.",
)
PER_DAY = bars(
    "tickets-revenue-per-day",
    "revenue per day, by district",
    PER_REGION,
    time("day", "Day", interval="1d"),
    [metric("sum", "revenue", "Revenue, KRW")],
    split=top("region", "District", PLACES),
)
PER_REGION_TABLE = table(
    "tickets-by-region",
    "tickets per district",
    PER_REGION,
    [top("region", "District", PLACES)],
    [
        metric("sum", "revenue", "Revenue, KRW"),
        metric("sum", "sold", "Sold"),
        metric("sum", "cancelled", "Cancelled"),
    ],
)
PER_SHOW_TABLE = table(
    "tickets-revenue-by-show",
    "revenue per show",
    PER_SHOW,
    [top("show_id", "Show", 50)],
    [
        metric("sum", "revenue", "Revenue, KRW"),
        metric("sum", "sold", "Sold"),
        metric("sum", "cancelled", "Cancelled"),
    ],
)
TICKETS_NOW = live(
    "tickets-now",
    "ticket sales now",
    "**Ticket sales of the last hour**, refreshed every 10 seconds; the time range is at the top right. Cancellations "
    "are events of their own. Revenue is that of sales less cancellations.\n\n"
    f"More: {link('tickets-per-day', 'ticket sales per day')} · {link('orders-now', 'orders now')}",
    [
        (6, [(EVENTS, 16), (SHOWS, 16), (MEAN_PRICE, 16)]),
        (20, [(VENUES_MAP, 48)]),
        (13, [(PER_MINUTE, 36), (BY_CHANNEL, 12)]),
        (14, [(BY_SHOW, 48)]),
        (16, [(NEWEST, 48)]),
    ],
    description="Ticket sales as they come: count, shows, places and channels.",
)
TICKETS_PER_DAY = daily(
    "tickets-per-day",
    "ticket sales per day",
    "**Ticket sales per day, by district and show**, out of the running totals; a late sale counts in its own day, and "
    "what is cancelled leaves the sums. The time range is the last seven days, today included.\n\n"
    f"More: {link('tickets-now', 'ticket sales now')} · {link('pay-per-day', 'pay per day')}",
    [(14, [(PER_DAY, 48)]), (16, [(PER_REGION_TABLE, 24), (PER_SHOW_TABLE, 24)])],
    description="Running totals per day: tickets sold and cancelled, and revenue, per district and show.",
)

DASHBOARDS: list[SavedObject] = [TICKETS_NOW, TICKETS_PER_DAY]
