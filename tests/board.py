"""Tables as jobs leave them, for what looks at them: an hour of orders and sales, two years of emission, alarms.

Orders and sales come from the generators' own plans; totals are summed from the ledgers by the database.
"""

import json
import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg2.extras import execute_values

from conf.city.places import complexes, districts
from conf.settings import Settings
from generators.deliveries.orders import Plan as Orders
from generators.tickets.malformed import FIELDS
from generators.tickets.sales import Plan as Sales
from sinks import postgres

ZONE = "Asia/Seoul"
TABLES = (
    *("delivery_information", "pay_per_destination", "pay_per_category", "pay_per_complex", "charge_per_day"),
    *(
        "tickets",
        "ticket_sales_per_region",
        "ticket_sales_per_show",
        "ticket_sales_per_minute",
        "oversells",
        "sold_out_shows",
    ),
    *("complexes", "energy_usage", "emission_per_complex_month", "emission_per_complex_day"),
    *("emission_per_region_month", "emission_per_region_day", "carbon_points", "emission_forecast", "api_quotas"),
)
HOSTILE = {
    "category": "constructor",
    "store_name": "<script>document.title='hacked'</script>" + "가" * 4096,
    "menu": "<img src=x onerror=\"document.title='hacked'\">",
    "address": "\u202eGNORTS <b>bold</b> & ‏עברית",
}
SHARES = (0.62, 0.24, 0.05, 0.09)  # of electricity, gas, water and heat


def insert(cursor: Any, table: str, rows: Iterable[Sequence[Any]]) -> None:
    query = f"INSERT INTO {table} VALUES %s ON CONFLICT DO NOTHING"  # noqa: S608
    execute_values(cursor, query, list(rows), page_size=2000)


def empty(settings: Settings) -> None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(TABLES))


def order(at: datetime, number: int, **changes: Any) -> tuple[Any, ...]:
    """A row of the ledger of orders."""
    one = complexes()[number % len(complexes())]
    values: dict[str, Any] = {
        "order_id": f"T-{number}",
        "ordered_at": at,
        "store_id": 7,
        "store_name": "남산식당",
        "category": "한식",
        "menu": "비빔밥",
        "pay": 12_500,
        "delivery_charge": 2000,
        "payment_method": "카드",
        "complex_id": one.complex_id,
        "region": one.region,
        "address": one.address,
        "lat": one.lat,
        "lon": one.lon,
        **changes,
    }
    return tuple(values.values())


def orders(now: datetime, minutes: int, rate: float) -> list[tuple[Any, ...]]:
    names = (
        *("order_id", "ordered_at", "store_id", "store_name", "category", "menu", "pay", "delivery_charge"),
        *("payment_method", "complex_id", "region", "address", "lat", "lon"),
    )
    found = []
    plan = Orders(seed=19, start=now - timedelta(minutes=minutes), rate=rate)
    for record in plan.records():
        if record.at > minutes * 60:
            return found
        told = json.loads(record.value or b"{}")
        found.append(tuple(told[name] for name in names))
    return found


def sales(now: datetime, minutes: int, rate: float) -> list[tuple[Any, ...]]:
    found = []
    plan = Sales(
        seed=19,
        start=now - timedelta(minutes=minutes),
        rate=rate,
        cancelled_share=0.03,
        oversold_share=0.002,
        burst_every_seconds=900,
        burst_factor=20,
    )
    for record in plan.records():
        if record.at > minutes * 60:
            return found
        told = json.loads(record.value or b"{}")
        told["price"] *= 50  # sums as long as a phone ever has to show
        found.append(tuple(told[name] for name in FIELDS))
    return found


def add_up(cursor: Any) -> None:
    """Totals of what is in the ledgers, as the jobs keep them."""
    cursor.execute("SET TIME ZONE 'Asia/Seoul'")
    sums = "count(*), sum(pay), sum(delivery_charge), count(*), now() FROM delivery_information"
    for table, key in (
        ("pay_per_destination", "region"),
        ("pay_per_category", "category"),
        ("pay_per_complex", "complex_id"),
    ):
        cursor.execute(
            f"INSERT INTO {table} SELECT ordered_at::date, {key}, {sums} WHERE {key} IS NOT NULL GROUP BY 1, 2"
        )
    cursor.execute(f"INSERT INTO charge_per_day SELECT ordered_at::date, {sums} GROUP BY 1")
    sold = (
        "count(*) FILTER (WHERE kind = 'sale'), count(*) FILTER (WHERE kind <> 'sale'),"
        " sum(CASE WHEN kind = 'sale' THEN price ELSE -price END), count(*), now() FROM tickets GROUP BY 1, 2"
    )
    cursor.execute(f"INSERT INTO ticket_sales_per_region SELECT at::date, region, {sold}")
    cursor.execute(f"INSERT INTO ticket_sales_per_show SELECT at::date, show_id, {sold}")
    cursor.execute(f"INSERT INTO ticket_sales_per_minute SELECT show_id, date_trunc('minute', at), {sold}")


def past_days(cursor: Any, today: date) -> None:
    """What was paid on the days before, so that there is a curve."""
    draw = random.Random(3)
    for back in range(1, 14):
        day = today - timedelta(days=back)
        rows = []
        for district in districts():
            count = round(district.population / 60 * draw.uniform(0.8, 1.2) * (1.25 if day.weekday() >= 4 else 1))
            rows.append((day, district.code, count, count * 18_400, count * 1_700, count, datetime.now(UTC)))
        insert(cursor, "pay_per_destination", rows)
        total = [sum(row[n] for row in rows) for n in (2, 3, 4)]
        insert(cursor, "charge_per_day", [(day, *total, total[0], datetime.now(UTC))])


def carbon(cursor: Any, today: date) -> None:
    """Complexes, their energy of 30 months, daily emission of the last year's end, points and a forecast."""
    now, draw = datetime.now(UTC), random.Random(5)
    newest = (today.replace(day=1) - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    months = [date(newest.year + (newest.month - 1 - n) // 12, (newest.month - 1 - n) % 12 + 1, 1) for n in range(30)]
    days = [newest - timedelta(days=n) for n in range(90)]
    per_month: dict[tuple[str, date], float] = {}
    per_day: dict[tuple[str, date], float] = {}
    for one in complexes():
        insert(cursor, "complexes", [(*one[:3], one.address, one.lat, one.lon, one.households, "지역난방", 1, now)])
        own = one.households * draw.uniform(90, 150)
        usage, emitted = [], []
        for month in months:
            kg = own * season(month)
            parts = [round(kg * share, 3) for share in SHARES]
            usage.append((one.complex_id, month, kg * 1.2, kg / 9, kg / 3, kg / 5, 1, now))
            emitted.append((one.complex_id, month, round(sum(parts), 3), *parts, 1, now))
            per_month[one.region, month] = per_month.get((one.region, month), 0) + kg
        insert(cursor, "energy_usage", usage)
        insert(cursor, "emission_per_complex_month", emitted)
        daily = []
        for day in days:
            kg = own / 30 * season(day) * draw.uniform(0.95, 1.05)
            daily.append((one.complex_id, day, kg, True, 1, now))
            per_day[one.region, day] = per_day.get((one.region, day), 0) + kg
        insert(cursor, "emission_per_complex_day", daily)
        points = [
            (one.complex_id, half, draw.randrange(0, 9) * 5000, 5000, 2500, 0, 0.07, 0.04, None, one.households, 1, now)
            for half in ("2025-H2", "2026-H1")
        ]
        insert(cursor, "carbon_points", points)
        ahead = ((newest + timedelta(days=n), own / 30 * season(newest + timedelta(days=n))) for n in range(1, 8))
        insert(
            cursor,
            "emission_forecast",
            [
                ("complex", one.complex_id, day, kg, kg * 0.9, kg * 1.12, "20261121T010000Z", 1, now)
                for day, kg in ahead
            ],
        )
    insert(
        cursor,
        "emission_per_region_month",
        [(region, month, kg, 30, 1, now) for (region, month), kg in per_month.items()],
    )
    insert(
        cursor,
        "emission_per_region_day",
        [(region, day, kg, 30, True, 1, now) for (region, day), kg in per_day.items()],
    )
    for district in districts():
        base = per_day[district.code, newest]
        rows = [
            (
                "region",
                district.code,
                newest + timedelta(days=n),
                base * (1 + n / 100),
                base * 0.92,
                base * (1.1 + n / 60),
                "20261121T010000Z",
                1,
                now,
            )
            for n in range(1, 8)
        ]
        insert(cursor, "emission_forecast", rows)


def season(day: date) -> float:
    """Winter and a little summer."""
    year = day.timetuple().tm_yday / 365 * 2 * math.pi
    return 1 + 0.35 * math.cos(year) + 0.12 * math.cos(2 * year)


def fill(settings: Settings, now: datetime | None = None) -> None:
    """An hour of a city's life in tables that are empty."""
    now = now or datetime.now(UTC)
    today = (now + timedelta(hours=9)).date()
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        insert(cursor, "delivery_information", orders(now, 62, 6))
        insert(cursor, "tickets", sales(now, 62, 2))
        add_up(cursor)
        past_days(cursor, today)
        cursor.execute(
            "SELECT show_id, max(venue), min(ticket_id), max(ticket_id) FROM tickets GROUP BY 1 ORDER BY count(*) DESC"
        )
        shows = cursor.fetchall()
        insert(
            cursor,
            "oversells",
            [
                (show, f"A-{n + 1:02d}-07", first, last, now, now - timedelta(minutes=7 * n + 1))
                for n, (show, _, first, last) in enumerate(shows[:6])
            ],
        )
        insert(cursor, "sold_out_shows", [(shows[-1][0], shows[-1][1], 1284, now - timedelta(minutes=11))])
        insert(cursor, "api_quotas", [("9f3a", "address", today.isoformat(), now + timedelta(hours=6), 812)])
        carbon(cursor, today)
