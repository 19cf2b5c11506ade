"""Reconciliation: what it makes of fresh starts, transactions, refused documents, and what it repairs."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from kafka import KafkaProducer
from rich.console import Console

from conf.settings import ROOT, Settings
from conf.streams import STREAMS, Ledger, Stream, Total
from control import jobs, reading
from control.cluster import Cluster
from control.reconcile import await_agreement, reconciliation
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError
from stack import demo, reconcile
from tests import deliveries, slate
from tests.integration import orders

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

JOB = deliveries.TOPIC
SECONDS = 90
# The largest that this suite's index takes as a store's number; PostgreSQL and the template take more.
BYTE = 127


def order(**changes: object) -> bytes:
    return orders.order(**{"store_id": 1, **changes})


@pytest.fixture(scope="module")
def settings(servers: None) -> Iterator[Settings]:
    """The settings, while the job runs with some orders; each test leaves it running, and all in agreement."""
    settings = deliveries.settings()
    with deliveries.running(settings):
        with elasticsearch.client(settings) as client:
            client.indices.create(index=JOB, mappings={"properties": {"store_id": {"type": "byte"}}})
        deliveries.send(
            settings, *(order(order_id=f"order {number}") for number in range(20)), order(order_id="order 1")
        )
        deliveries.send(settings, b"no order", None)
        report = await_agreement(settings, JOB, SECONDS)
        assert report.agrees, report
        assert (report.produced, report.ledger, report.dead, report.repeats, report.documents) == (23, 20, 2, 1, 20)
        assert not report.notes
        yield settings


def execute(settings: Settings, *statements: str) -> None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def per_day(settings: Settings) -> list[tuple[int, ...]]:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT orders, pay, charge FROM charge_per_day ORDER BY day")
        return cursor.fetchall()


def test_a_topic_written_with_transactions(settings: Settings) -> None:
    before = await_agreement(settings, JOB, SECONDS)
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","), transactional_id="test")
    ) as producer:
        producer.init_transactions()
        for number, end in enumerate(
            (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction)
        ):
            producer.begin_transaction()
            producer.send(JOB, order(order_id=f"in transaction {number}"), b"k").get(30)
            end()
    report = await_agreement(settings, JOB, SECONDS)
    assert report.agrees, report
    assert not report.notes
    assert (report.produced, report.ledger) == (before.produced + 2, before.ledger + 2)
    assert reading.spans(settings, [JOB]).taken >= report.produced + 4


def test_a_refused_document_is_in_the_ledger(settings: Settings) -> None:
    before = await_agreement(settings, JOB, SECONDS)
    deliveries.send(settings, order(order_id="refused", store_id=BYTE + 1))
    slate.await_that(
        lambda: any(letter["reason"] == reading.REJECTED for letter in deliveries.dead_letters(settings)),
        60,
        "a letter",
    )
    report = await_agreement(settings, JOB, SECONDS)
    assert report.agrees, report
    assert not report.notes
    assert report.ledger == before.ledger + 1
    assert report.documents == before.documents
    assert (report.dead, report.dead_letters[reading.REJECTED]) == (before.dead, 1)


def test_a_fresh_start_is_told_apart(settings: Settings) -> None:
    before = await_agreement(settings, JOB, SECONDS)
    jobs.stop(settings, JOB)
    jobs.submit(settings, JOB, fresh=True)
    deliveries.send(settings, order(order_id="after the fresh start"), b"no order either")
    slate.await_that(lambda: "after the fresh start" in deliveries.ledger_ids(settings), 60, "it is in the ledger")
    report = await_agreement(settings, JOB, SECONDS)
    assert report.agrees, report
    assert (report.produced, report.ledger, report.dead) == (before.produced + 2, before.ledger + 1, before.dead + 1)
    assert report.repeats == before.repeats
    assert any("fresh start" in note for note in report.notes)
    # What is really missing is still found.
    execute(settings, "DELETE FROM delivery_information WHERE order_id = 'order 2'")
    found = await_agreement(settings, JOB, 1).wrong
    assert any("rows of charge_per_day differ" in each for each in found)
    assert any("documents" in each for each in found)
    jobs.stop(settings, JOB)
    jobs.submit(settings, JOB, fresh=True)
    slate.await_that(lambda: "order 2" in deliveries.ledger_ids(settings), 60, "it is there again")


def test_repair_waits_for_what_moves(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await_agreement(settings, JOB, SECONDS).agrees
    before = per_day(settings)
    jobs.stop(settings, JOB)
    try:
        deliveries.send(settings, order(order_id="not read yet"))
        # So a total runs ahead of the ledger, which gets its rows with the next checkpoint.
        execute(settings, "UPDATE charge_per_day SET orders = orders + 1, pay = pay + 1")
        ahead = per_day(settings)
        assert reconcile.main([JOB, "--wait", "1", "--repair"]) == 1
        said = capsys.readouterr()
        assert "Nothing was repaired" in said.err
        assert "the last checkpoint lacks 1 records of the topic, and the job does not run: `make resume" in said.err
        assert per_day(settings) == ahead
    finally:
        execute(settings, "UPDATE charge_per_day SET orders = orders - 1, pay = pay - 1")
        assert per_day(settings) == before
        jobs.resume(settings, JOB)
    assert await_agreement(settings, JOB, SECONDS).agrees


def test_repair_gives_a_new_verdict(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await_agreement(settings, JOB, SECONDS).agrees
    right = per_day(settings)
    execute(
        settings,
        "UPDATE charge_per_day SET orders = orders + 1, pay = pay - 5",
        "DELETE FROM pay_per_category",
        "INSERT INTO pay_per_destination SELECT day, '99999', 1, 1, 1, 1, now() FROM charge_per_day LIMIT 1",
    )
    assert reconcile.main([JOB, "--wait", "1", "--repair"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.index("Does not agree") < said.index("Repaired: ") < said.index("All agrees")
    assert per_day(settings) == right
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sum(orders), sum(version) FROM pay_per_category")
        assert cursor.fetchone() == (right[0][0], right[0][0])


def test_it_knows_no_stream(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger("rides", ("ride",), "at", {"rides": "1", "metres": "km * 1000"})
    totals = (Total("rides_per_zone", "zone", "minute"), Total("rides_per_day"))
    made_up = Stream(JOB, (JOB,), ledger=ledger, totals=totals)
    monkeypatch.setitem(STREAMS, JOB, made_up)
    execute(
        settings,
        "CREATE TABLE rides (ride text PRIMARY KEY, at timestamptz NOT NULL, zone text, km int NOT NULL)",
        "CREATE TABLE rides_per_zone (minute timestamptz, zone text, rides bigint, metres bigint, version bigint,"
        " updated_at timestamptz, PRIMARY KEY (minute, zone))",
        "CREATE TABLE rides_per_day (day date PRIMARY KEY, rides bigint, metres bigint, version bigint,"
        " updated_at timestamptz)",
        "INSERT INTO rides VALUES ('a', '2026-11-20 23:59:59+09', 'x', 2), ('b', '2026-11-21 00:00:01+09', 'x', 3),"
        " ('c', '2026-11-20 23:59:01+09', 'x', 5), ('d', '2026-11-20 23:59:01+09', NULL, 7)",
        "INSERT INTO rides_per_zone VALUES ('2026-11-20 23:59+09', 'x', 2, 7000, 2, now()),"
        " ('2026-11-21 00:00+09', 'x', 1, 3000, 1, now())",
        "INSERT INTO rides_per_day VALUES ('2026-11-20', 3, 14000, 3, now()), ('2026-11-21', 1, 3000, 1, now())",
    )
    try:
        with reconciliation(settings, JOB) as begun:
            assert begun.look().totals == {"rides_per_zone": 0, "rides_per_day": 0}
            execute(
                settings, "UPDATE rides_per_zone SET metres = 1", "DELETE FROM rides_per_day WHERE day = '2026-11-21'"
            )
            assert begun.look().totals == {"rides_per_zone": 2, "rides_per_day": 1}
            assert begun.repair() == {"rides_per_zone": 2, "rides_per_day": 1}
            assert begun.look().totals == {"rides_per_zone": 0, "rides_per_day": 0}
    finally:
        execute(settings, "DROP TABLE rides, rides_per_zone, rides_per_day")


def test_the_demo_ends_with_what_a_person_wants_to_see(settings: Settings) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    deliveries.send(settings, order(order_id="today", ordered_at=now, category="noodles", region="27230"))
    assert await_agreement(settings, JOB, SECONDS).agrees
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    titles = []
    for title, table in demo.highlights(settings):
        titles.append(title)
        console.print(table)
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert titles[:2] == ["Paid per category today, in KRW", "The busiest districts today"]
    assert ["noodles", "1", "23,000"] in lines
    assert ["Buk-gu", "(북구)", "1", "23,000"] in lines


def test_what_can_not_be_reconciled_is_a_sentence(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert reconcile.main(["carbon"]) == 1
    assert "carbon keeps no ledger to compare with; what can be reconciled: deliveries, " in capsys.readouterr().err
    assert reconcile.main(["foo"]) == 1
    assert "foo is no stream" in capsys.readouterr().err
    execute(settings, "ALTER TABLE charge_per_day RENAME TO elsewhere")
    try:
        with pytest.raises(NotReadyError, match="no table charge_per_day: run `make prepare`"):
            await_agreement(settings, JOB, 1)
    finally:
        execute(settings, "ALTER TABLE elsewhere RENAME TO charge_per_day")
    with pytest.raises(NotReadyError, match="Kafka has no topic nowhere: run `make prepare`"):
        reading.spans(settings, ["nowhere"])


@pytest.mark.parametrize("away", ["KAFKA_BOOTSTRAP_SERVERS=localhost:1", "POSTGRES_URL=postgresql://a@localhost:1/b"])
def test_a_server_that_is_away_is_a_sentence(settings: Settings, away: str) -> None:
    name, _, value = away.partition("=")
    done = subprocess.run(
        [sys.executable, "-m", "stack.reconcile", "--wait", "1"],
        cwd=ROOT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert name in done.stderr
    assert Cluster(settings.flink.url).running(JOB)
