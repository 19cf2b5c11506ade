"""What tests of the whole deliveries job share: a clean slate, the generator, and the check of every promise."""

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kafka import KafkaProducer

from conf.settings import Settings, load
from conf.streams import DELIVERIES
from control.reconcile import await_agreement
from generators.deliveries.orders import Plan
from sinks import elasticsearch, kafka, postgres
from tests import slate
from tests.generator import Generator

(TOPIC,) = DELIVERIES.topics
LEDGER = "delivery_information"
TOTALS = [total.table for total in DELIVERIES.totals]
Document = dict[str, Any]
LETTERS = kafka.dead_letter_topic(TOPIC)


def clean_slate(settings: Settings) -> None:
    """No job, empty topics, tables, indices and staging."""
    slate.without_job(settings, TOPIC)
    slate.with_empty_topics(settings, [TOPIC])
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'staging' AND tablename LIKE 'e\\_%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'DROP TABLE staging."{table}"')
        cursor.execute("TRUNCATE staging.epochs, staging.writers")
        cursor.execute("TRUNCATE " + ", ".join([LEDGER, *TOTALS]))
    with elasticsearch.client(settings) as client:
        for index in (*DELIVERIES.indices, *TOTALS):
            client.options(ignore_status=404).indices.delete(index=index)


def generator(manifest: Path, **options: object) -> Generator:
    """The order generator, at a rate that is the same all day."""
    return Generator(DELIVERIES, manifest, day_curve=False, **options)


def dead_letters(settings: Settings) -> list[dict[str, object]]:
    """Every dead letter, once."""
    return slate.by_key(settings, LETTERS)


def ledger_ids(settings: Settings) -> list[str]:
    """The order ids in the ledger."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT order_id FROM delivery_information")
        return [order_id for (order_id,) in cursor.fetchall()]


def document_ids(settings: Settings) -> set[str]:
    """The ids of all order documents."""
    from elasticsearch.helpers import scan

    with elasticsearch.client(settings) as client:
        client.indices.refresh(index=TOPIC)
        return {hit["_id"] for hit in scan(client, index=TOPIC, query={"_source": False}, size=5000)}


def staged_tables(settings: Settings) -> int:
    """How many staging tables are left."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename LIKE 'e\\_%'")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def assert_every_promise(settings: Settings, generator: Generator, *, seconds: float) -> None:
    """Drain the job, then hold tables, documents and dead letters against what was produced."""
    valid, produced = generator.valid(), generator.produced()
    report = await_agreement(settings, TOPIC, seconds)
    ids = ledger_ids(settings)
    assert set(ids) == valid, f"{len(valid - set(ids))} orders missing, {len(set(ids) - valid)} too many"
    assert len(ids) == len(valid)
    assert not any(report.totals.values()), report.totals
    assert report.repeats == produced["repeat"]
    assert document_ids(settings) == valid

    letters = dead_letters(settings)
    places = Counter((letter["topic"], letter["partition"], letter["offset"]) for letter in letters)
    assert len(letters) == produced["malformed"], report.dead_letters
    assert max(places.values(), default=1) == 1, "a dead letter came twice"
    assert all(letter["reason"] for letter in letters)

    assert report.staged == 0
    assert staged_tables(settings) == 0
    assert report.agrees, report.wrong + report.moving


@contextlib.contextmanager
def running(settings: Settings, *, parallelism: int | None = None) -> Iterator[str]:
    """The job from a clean slate; cancelled at the end."""
    clean_slate(settings)
    with slate.running(settings, TOPIC, parallelism=parallelism) as job:
        yield job


def send(settings: Settings, *values: bytes | None, key: bytes = b"k") -> None:
    """Produce these values."""
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), acks="all", max_request_size=2**22)
    ) as producer:
        for value in values:
            producer.send(TOPIC, value, key).get(30)


def settings() -> Settings:
    """The suite's settings, with the addresses of the servers that are up now."""
    return load()


def documents(now: datetime) -> dict[str, list[Document]]:
    """What the job writes to Elasticsearch, of orders of the half hour before, by index."""
    orders = _orders(now, 400)
    return {TOPIC: orders, **{total.table: _totals(orders, total.key) for total in DELIVERIES.totals}}


def _orders(now: datetime, count: int) -> list[Document]:
    """Documents of orders of the last half hour, out of the generator's records, as the job writes them."""
    plan = Plan(seed=11, start=now - timedelta(minutes=30), rate=count / 1800)
    found = []
    for record in islice(plan.records(), count):
        assert record.value is not None
        order = json.loads(record.value)
        at = datetime.fromisoformat(order["ordered_at"]).astimezone(ZoneInfo(load().time_zone))
        found.append({**order, "day": at.date().isoformat(), "location": [order.pop("lon"), order.pop("lat")]})
        found[-1] = {name: value for name, value in found[-1].items() if name not in ("lat", "lon")}
    return found


def _totals(documents: list[Document], key: str | None) -> list[Document]:
    """The running totals of these orders, per day and key."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for order in documents:
        if key is None or order[key] is not None:
            total = sums[(order["day"],) if key is None else (order["day"], order[key])]
            for place, value in enumerate((1, order["pay"], order["delivery_charge"])):
                total[place] += value
    return [
        {
            "day": day,
            **({key: rest[0]} if key else {}),
            **{"orders": orders, "pay": pay, "charge": charge, "version": orders},
            "updated_at": datetime.now(UTC).isoformat(),
        }
        for (day, *rest), (orders, pay, charge) in sums.items()
    ]
