"""Totals of any sums and buckets, as a stream of ticket sales needs them: from facts into PostgreSQL's own columns."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import cloudpickle
import pytest
from pyflink.common import Instant, Row, Types

import conf
import jobs
from conf.settings import Settings
from conf.streams import Ledger, Total
from jobs.flow.environment import environment
from jobs.flow.totals import combine, counted, first_per_key, fold, of_total
from sinks import postgres
from tests.deliveries import settings as load

pytestmark = [pytest.mark.postgres]
SALES = Ledger(
    table="test_tickets",
    key=("ticket_id", "kind"),
    time="at",
    sums={
        "sold": "CASE kind WHEN 'sale' THEN 1 ELSE 0 END",
        "cancelled": "CASE kind WHEN 'sale' THEN 0 ELSE 1 END",
        "revenue": "CASE kind WHEN 'sale' THEN price ELSE -price END",
    },
)
TOTALS = (
    Total("test_sales_per_minute", "show_id", "minute"),
    Total("test_sales_per_region", "region"),
    Total("test_sales_per_day"),
)
Fact = tuple[str, str, datetime, str, str | None, int]


@pytest.fixture
def settings() -> Iterator[Settings]:
    loaded = load()
    tables = ", ".join(total.table for total in TOTALS)
    with postgres.connect(loaded) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {tables}")
        for total in TOTALS:
            bucket = "day date" if total.bucket == "day" else "minute timestamptz"
            key = f"{total.key} text, " if total.key else ""
            cursor.execute(
                f"CREATE TABLE {total.table} ({bucket}, {key}sold bigint, cancelled bigint, revenue bigint,"
                f" version bigint, updated_at timestamptz, PRIMARY KEY ({', '.join(total.columns)}))"
            )
    for package in (conf, jobs):
        cloudpickle.register_pickle_by_value(package)
    yield loaded
    for package in (conf, jobs):
        cloudpickle.unregister_pickle_by_value(package)
    with postgres.connect(loaded) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {tables}")


def facts() -> list[Fact]:
    """Sales around midnight in Seoul, more cancellations than sales in some minutes, each id perhaps twice."""
    dice = random.Random(13)
    midnight = datetime(2026, 11, 25, 15, tzinfo=UTC)
    made: list[Fact] = []
    for number in range(300):
        kind = "sale" if number % 3 else "cancellation"
        at = midnight + timedelta(seconds=dice.randrange(-150, 150), milliseconds=dice.randrange(1000))
        region = None if number % 50 == 0 else dice.choice(["27110", "27260"])
        made.append((f"t{number // 2}", kind, at, f"show|{dice.randrange(3)}", region, dice.randrange(10**9)))
    return made + dice.sample(made, 40)


def expected(of: list[Fact], settings: Settings, total: Total) -> dict[tuple[object, ...], tuple[int, ...]]:
    """The same sums, one fact after the other."""
    sums: dict[tuple[object, ...], Counter[str]] = {}
    first = {(ticket, kind): fact for fact in reversed(of) for ticket, kind in [fact[:2]]}
    for _, kind, at, show, region, price in first.values():
        minute = at.replace(second=0, microsecond=0)
        day: date = at.astimezone(ZoneInfo(settings.time_zone)).date()
        key = {"show_id": show, "region": region, None: None}[total.key]
        if total.key and key is None:
            continue
        row = sums.setdefault((minute if total.bucket == "minute" else day, *([key] if total.key else [])), Counter())
        sign = 1 if kind == "sale" else -1
        row.update(sold=int(sign > 0), cancelled=int(sign < 0), revenue=sign * price, version=1)
    return {key: (row["sold"], row["cancelled"], row["revenue"], row["version"]) for key, row in sums.items()}


@pytest.mark.timeout(300)
def test_sums_may_be_negative_and_a_bucket_may_be_a_minute(settings: Settings) -> None:
    given = facts()
    env, tables = environment(settings, state_backend="hashmap")
    env.set_parallelism(1)
    row_type = Types.ROW_NAMED(
        ["ticket_id", "kind", "at", "show_id", "region", "price"],
        [Types.STRING(), Types.STRING(), Types.INSTANT(), Types.STRING(), Types.STRING(), Types.INT()],
    )
    rows = [
        Row(ticket, kind, Instant.of_epoch_milli(round(at.timestamp() * 1000)), show, region, price)
        for ticket, kind, at, show, region, price in given
    ]
    tables.create_temporary_view("sales", env.from_collection(rows, row_type))
    sums = list(SALES.sums)
    firsts = first_per_key(counted(tables, "sales", SALES, TOTALS, name="test"), "id", ttl_hours=1, name="test")
    partials = combine(firsts, TOTALS, sums, every_seconds=0.05, name="test")
    tables.create_temporary_view("totals", fold(partials, sums, python_mode="process", name="test"))
    for total in TOTALS:
        postgres.upsert(of_total(tables, total, sums, name="test"), total.table, total.columns, settings=settings)
    env.execute("test.totals")

    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        for total in TOTALS:
            cursor.execute(f"TABLE {total.table}")
            width = len(total.columns)
            found = {row[:width]: row[width:-1] for row in cursor.fetchall()}
            assert found == expected(given, settings, total), total
            assert any(revenue < 0 for _, _, revenue, _ in found.values()) or total.bucket == "day"
