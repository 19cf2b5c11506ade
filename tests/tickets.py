"""What tests of the whole tickets job share: a clean slate, the generator, and every promise, recomputed."""

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from kafka import KafkaProducer

from conf.city.venues import venues
from conf.settings import Settings, load
from conf.streams import TICKETS, Total
from control import reading
from control.reconcile import await_agreement
from generators.tickets.sales import Plan
from sinks import elasticsearch, kafka, postgres
from tests import slate
from tests.generator import Generator

JOB = TICKETS.name
ALERTS = f"{JOB}.alerts"
TABLES = (JOB, *(each.table for each in TICKETS.sums), "late_ticket_sales", "oversells", "sold_out_shows")
Fields = dict[str, Any]


def clean_slate(settings: Settings) -> None:
    """No job, empty topics, tables and indices."""
    slate.without_job(settings, JOB)
    slate.with_empty_topics(settings, [JOB, ALERTS])
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM staging.epochs WHERE ledger LIKE 'tickets.%'")
        cursor.execute("DELETE FROM staging.writers WHERE ledger LIKE 'tickets.%'")
        cursor.execute("TRUNCATE " + ", ".join(TABLES))
    with elasticsearch.client(settings) as client:
        for index in (*TICKETS.indices, *(each.table for each in TICKETS.totals)):
            client.options(ignore_status=404).indices.delete(index=index)


@contextlib.contextmanager
def running(settings: Settings, *, parallelism: int | None = None) -> Iterator[str]:
    """The job from a clean slate; cancelled at the end."""
    clean_slate(settings)
    with slate.running(settings, JOB, parallelism=parallelism) as job:
        yield job


class Sent(NamedTuple):
    """A record to produce."""

    value: bytes | None
    key: bytes = b"k"
    written_at: datetime | None = None
    partition: int | None = None


def send(settings: Settings, *records: Sent) -> None:
    """Produce these, one after the other."""
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all", max_request_size=2**22)
    ) as producer:
        sent = [
            producer.send(
                JOB,
                each.value,
                each.key,
                partition=each.partition,
                timestamp_ms=None if each.written_at is None else int(each.written_at.timestamp() * 1000),
            )
            for each in records
        ]
        for future in sent:
            future.get(30)


def generator(manifest: Path, **options: object) -> Generator:
    """The generator of sales."""
    return Generator(TICKETS, manifest, **options)


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    """Rows of PostgreSQL."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def json_records(settings: Settings, topic: str) -> list[Fields]:
    """The JSON objects of a topic."""
    found: list[Fields] = []
    with reading.Reader(settings, [topic]) as reader:
        reader.read(lambda record: found.append(json.loads(record.value)))
    return found


def dead_letters(settings: Settings) -> list[Fields]:
    """Every dead letter, once."""
    return slate.by_key(settings, kafka.dead_letter_topic(JOB))


class Event(NamedTuple):
    """A valid sale or cancellation, once."""

    fields: Fields
    at: datetime
    late: bool


def events(settings: Settings, refused: set[tuple[int, int]]) -> list[Event]:
    """The first of each ticket's sales and cancellations, read from the topic; without the records in `refused`."""
    found: dict[tuple[str, str], Event] = {}

    def take(record: Any) -> None:
        if (record.partition, record.offset) in refused:
            return
        fields = json.loads(record.value)
        at = datetime.fromisoformat(fields["at"])
        over = at.replace(second=0, microsecond=0) + timedelta(minutes=1, seconds=settings.tickets.late_after_seconds)
        event = Event(fields, at, over <= datetime.fromtimestamp(record.timestamp / 1000, UTC))
        found.setdefault((fields["ticket_id"], fields["kind"]), event)

    with reading.Reader(settings, [JOB]) as reader:
        reader.read(take)
    return list(found.values())


def per_minute(sales: list[Event]) -> set[tuple[Any, ...]]:
    """Rows of ticket_sales_per_minute: show, minute, sold, cancelled, revenue."""
    sums: dict[tuple[str, datetime], list[int]] = defaultdict(lambda: [0, 0, 0])
    for fields, at, late in sales:
        if not late:
            of_minute = sums[fields["show_id"], at.replace(second=0, microsecond=0)]
            sale = fields["kind"] == "sale"
            of_minute[0] += sale
            of_minute[1] += not sale
            of_minute[2] += fields["price"] if sale else -fields["price"]
    return {(*key, *values) for key, values in sums.items()}


def oversold(sales: list[Event]) -> set[tuple[str, str, str]]:
    """Rows of oversells: show, seat and second ticket, for each that was sold while another one held the seat."""
    never = datetime.max.replace(tzinfo=UTC)
    cancelled = {each.fields["ticket_id"]: each.at for each in sales if each.fields["kind"] == "cancellation"}
    by_seat: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for fields, at, _ in sales:
        # Cancelled within the same millisecond, it never held the seat.
        if fields["kind"] == "sale" and cancelled.get(fields["ticket_id"], never) > at:
            by_seat[fields["show_id"], fields["seat"]].append((at, fields["ticket_id"]))
    return {
        (*seat, ticket)
        for seat, sold in by_seat.items()
        for number, (at, ticket) in enumerate(sorted(sold))
        if any(cancelled.get(other, never) > at for _, other in sorted(sold)[:number])
    }


def assert_every_promise(settings: Settings, generator: Generator, *, seconds: float) -> Counter[str]:
    """Drain the job, then hold tables, documents, letters and alarms against the topic; return what was counted."""
    produced = generator.produced()
    report = await_agreement(settings, JOB, seconds)
    letters = dead_letters(settings)
    refused = {(letter["partition"], letter["offset"]) for letter in letters}
    assert len(refused) == produced["malformed"], report.dead_letters
    sales = events(settings, refused)
    assert len(sales) == produced["valid"] + produced["cancellation"]

    ledger = query(settings, "SELECT ticket_id, kind FROM tickets")
    assert set(ledger) == {(each.fields["ticket_id"], each.fields["kind"]) for each in sales}
    assert report.repeats == produced["repeat"]
    late = query(settings, "SELECT ticket_id, kind FROM late_ticket_sales")
    assert set(late) == {(each.fields["ticket_id"], each.fields["kind"]) for each in sales if each.late}
    minutes = query(settings, "SELECT show_id, minute, sold, cancelled, revenue FROM ticket_sales_per_minute")
    assert {(show, minute.astimezone(UTC), *sums) for show, minute, *sums in minutes} == per_minute(sales)
    assert report.agrees, report.wrong + report.moving

    expected = oversold(sales)
    slate.await_that(
        lambda: len(query(settings, "SELECT 1 FROM oversells")) >= len(expected), 120, "every oversell is found"
    )
    found = set(query(settings, "SELECT show_id, seat, second_ticket_id FROM oversells"))
    assert found == expected, f"for nothing: {found - expected}; not found: {expected - found}"
    alerts = {alert["alert_id"]: alert for alert in json_records(settings, ALERTS) if alert["kind"] == "oversell"}
    told = [(each["show_id"], each["seat"], each["second_ticket_id"]) for each in alerts.values()]
    assert Counter(told) == Counter(expected)
    return Counter(late=len(late), oversold=len(expected), sales=len(sales), letters=len(refused))


def settings() -> Settings:
    """The suite's settings, with the addresses of the servers that are up now."""
    return load()


# ----- what Kibana shows


def documents(now: datetime) -> dict[str, list[Fields]]:
    """What the job writes to Elasticsearch, of sales of the half hour before, by index."""
    places = {venue.name: [venue.lon, venue.lat] for venue in venues()}
    plan = Plan(
        seed=11, start=now - timedelta(minutes=30), rate=0.3, cancelled_share=0.05, oversold_share=0.02, late_share=0.0
    )
    found = []
    sums: dict[tuple[Total, str, str], Counter[str]] = defaultdict(Counter)
    for record in islice(plan.records(), 500):
        assert record.value is not None
        fields = json.loads(record.value)
        day = datetime.fromisoformat(fields["at"]).astimezone(ZoneInfo(load().time_zone)).date().isoformat()
        found.append({**fields, "day": day, "location": places[fields["venue"]]})
        sale = fields["kind"] == "sale"
        revenue = fields["price"] if sale else -fields["price"]
        for total in TICKETS.totals:
            of_key = sums[total, day, fields[str(total.key)]]
            of_key.update(version=1, sold=int(sale), cancelled=int(not sale), revenue=revenue)
    described: dict[str, list[Fields]] = {JOB: found}
    for (total, day, key), values in sums.items():
        row = {"day": day, str(total.key): key, **values, "updated_at": now.isoformat()}
        described.setdefault(total.table, []).append(row)
    return described
