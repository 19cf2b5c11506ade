"""The events stream in Kibana: what takes place in the world, where and when, and what is spent on it."""

from kibana.dashboards import dashboard, link
from kibana.lens import bars, count, metric, number, shares, table, time, top
from kibana.maps import COUNT, Layer, colour, kinds, size, summed, world_map
from kibana.objects import SavedObject, data_view, day_format, saved_search

SINCE, UNTIL = "now/d", "now+90d/d"
COUNTRIES = 20

EVENTS = data_view(
    "events",
    "world events",
    time="takes_place_at",
    formats={"start_day": day_format(), "end_day": day_format()},
    labels={"spend": "spend, USD", "takes_place_at": "start", "update_type": "last change"},
)

SPEND = metric("sum", "spend", "Predicted spend, USD")
AHEAD = number("events-count", "events", EVENTS, count("Events"))
ALL_SPEND = number("events-spend", "predicted spend", EVENTS, SPEND)
ATTENDANCE = number(
    "events-attendance", "predicted attendance", EVENTS, metric("sum", "attendance", "Predicted attendance")
)
EVENTS_MAP = world_map(
    "events-map",
    "world events",
    [
        Layer.squares(
            "Events per square: the darker, the more is spent",
            EVENTS,
            "position",
            colour("sum_of_spend", "Blues"),
            metrics=[COUNT, summed("spend")],
        ),
        Layer.newest(
            "One point per event: larger ranks higher, colour is the category",
            EVENTS,
            "position",
            kinds("category"),
            size("rank", 3, 16),
            per="event_id",
            by="updated",
            tooltip=["title", "category", "start_at", "end_at", "rank", "attendance", "spend", "airport"],
        ),
    ],
    description="Squares: events and what is spent there. Points: single events. What was deleted is not shown. The "
    "streets come from Elastic's map service.",
    since=SINCE,
    until=UNTIL,
)
PER_DAY = bars(
    "events-spend-per-day",
    "predicted spend per day, by category",
    EVENTS,
    time("takes_place_at", "Day", interval="1d"),
    [SPEND],
    split=top("category", "Category", 10),
)
BY_COUNTRY = bars(
    "events-by-country",
    "events per country and category",
    EVENTS,
    top("country", "Country", COUNTRIES),
    [count("Events")],
    split=top("category", "Category", 10),
    kind="bar_horizontal",
)
BY_CATEGORY = shares("events-by-category", "categories", EVENTS, top("category", "Category", 10), count("Events"))
TOP_EVENTS = table(
    "events-top",
    "the 20 events that rank highest",
    EVENTS,
    [top("title", "Event", 20), top("country", "Country", 1), top("category", "Category", 1)],
    [
        metric("max", "rank", "Rank"),
        metric("sum", "attendance", "Predicted attendance"),
        SPEND,
    ],
)
NEWEST = saved_search(
    "events-newest",
    "events that changed last",
    EVENTS,
    columns=["title", "category", "country", "update_type", "start_day", "end_day", "rank", "spend", "airport"],
    newest_by="updated",
    description="Single events, those that changed last first: 1 changed, 2 moved, 3 new.",
)
WORLD_EVENTS = dashboard(
    "events",
    "world events",
    "**What takes place in the next 90 days**; the time range is at the top right. Attendance and spend are predicted, "
    "spend is in USD; an event counts where and when it begins. What was cancelled or postponed is not shown.\n\n"
    f"More: {link('tickets-now', 'ticket sales now')} · {link('orders-now', 'orders now')}",
    [
        (6, [(AHEAD, 16), (ALL_SPEND, 16), (ATTENDANCE, 16)]),
        (22, [(EVENTS_MAP, 48)]),
        (14, [(PER_DAY, 36), (BY_CATEGORY, 12)]),
        (18, [(BY_COUNTRY, 20), (TOP_EVENTS, 28)]),
        (16, [(NEWEST, 48)]),
    ],
    description="World events: where they are, what is spent on them, which rank highest, which changed last.",
    since=SINCE,
    until=UNTIL,
    refresh_seconds=60,
)

DASHBOARDS: list[SavedObject] = [WORLD_EVENTS]
