"""A part of a topic is read again into the tables that are there; the job goes on as if nothing had been."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conf.settings import ROOT, Settings
from control import jobs, reading
from control.cluster import Cluster
from control.jobs import restore_path
from control.journal import Journal
from control.retention import clean
from stack.control import main as control
from tests import deliveries, slate
from tests.integration.orders import order

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.elasticsearch,
    pytest.mark.flink,
    pytest.mark.timeout(900),
]

JOB = deliveries.TOPIC
# All of one day and one region: the total of it is of both parts of the topic.
AT = "2026-11-20T03:00:00.000Z"


def send(settings: Settings, prefix: str, count: int) -> None:
    deliveries.send(settings, *(order(order_id=f"{prefix}-{number}", ordered_at=AT) for number in range(count)))


def agrees(settings: Settings, *, ledger: int) -> None:
    report = deliveries.await_agreement(settings, JOB, 120)
    assert report.agrees, (report.wrong, report.moving)
    assert report.ledger == ledger


def execute(settings: Settings, statement: str) -> int:
    with deliveries.postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


@pytest.fixture(scope="module")
def middle(servers: None) -> Iterator[datetime]:
    """The job has read 40 orders, and from this time on 30 more."""
    settings = deliveries.settings()
    with deliveries.running(settings):
        send(settings, "first", 40)
        time.sleep(1)
        middle = datetime.now(UTC)
        time.sleep(1)
        send(settings, "second", 30)
        agrees(settings, ledger=70)
        yield middle


@pytest.fixture
def settings(middle: datetime) -> Settings:
    return deliveries.settings()


def damage(settings: Settings) -> None:
    """Lose rows of the ledger and a whole total, as somebody does who deletes too much."""
    assert execute(settings, "DELETE FROM delivery_information WHERE order_id LIKE 'second-%'") == 30
    assert execute(settings, "DELETE FROM pay_per_destination") == 1


@pytest.mark.parametrize("start", ["a time", "an offset", "earliest"])
def test_what_was_lost_comes_back(
    settings: Settings, middle: datetime, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    offsets = reading.from_time(settings, JOB, middle)
    starts = {
        "a time": middle.isoformat(),
        "an offset": ",".join(f"{at.partition}:{offset}" for at, offset in offsets.items()),
        "earliest": "earliest",
    }
    before = jobs.Cluster(settings.flink.url).running(JOB)
    damage(settings)
    assert control(["backfill", JOB, "--from", starts[start]]) == 0
    said = capsys.readouterr().out
    records = 70 if start == "earliest" else 30
    assert f"Reading {records} records again" in said
    assert "goes on from where it was" in said
    assert "Totals agree with the ledger" in said
    agrees(settings, ledger=70)
    assert Cluster(settings.flink.url).running(JOB) not in (None, before)


def test_the_job_goes_on_counting_all_of_it(settings: Settings) -> None:
    """Not only what it read since the backfill."""
    send(settings, "third", 10)
    agrees(settings, ledger=80)
    execute(settings, "DELETE FROM delivery_information WHERE order_id LIKE 'third-%'")
    deliveries.send(settings, *(order(order_id=f"third-{number}", ordered_at=AT) for number in range(10)))
    agrees(settings, ledger=80)


def test_a_backfill_that_is_killed_leaves_the_job_to_be_resumed(settings: Settings) -> None:
    cluster = Cluster(settings.flink.url)
    before = restore_path(settings, JOB)
    process = subprocess.Popen(
        [sys.executable, "-m", "stack.control", "backfill", JOB, "--from", "earliest"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        slate.await_that(lambda: cluster.running(JOB) in Journal(settings, JOB).backfills(), 120, "the backfill runs")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    savepoint = restore_path(settings, JOB)
    assert savepoint != before, "that of the job that was stopped"
    assert jobs.stop(settings, JOB) == savepoint, "nothing goes on from a backfill"
    slate.await_that(lambda: cluster.running(JOB) is None, 60, "the backfill is gone")
    assert restore_path(settings, JOB) == savepoint
    jobs.resume(settings, JOB)
    send(settings, "fourth", 5)
    agrees(settings, ledger=85)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["carbon", "--from", "earliest"], "`make submit JOB=carbon FRESH=1`"),
        ([JOB, "--from", "yesterday"], "FROM=yesterday is no place to begin"),
        ([JOB, "--from", "9:1"], "9:1 lies outside topic deliveries: partition 9 has no such partition"),
        ([JOB, "--from", "0:99999999"], "partition 0 has offsets 0 to"),
    ],
)
def test_what_can_not_be_is_said_and_the_job_goes_on(
    settings: Settings, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Cluster(settings.flink.url).running(JOB)
    assert control(["backfill", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert Cluster(settings.flink.url).running(JOB) == before


def test_old_savepoints_go_and_none_that_is_needed(settings: Settings) -> None:
    cluster = Cluster(settings.flink.url)
    job = cluster.running(JOB) or ""
    there = {each.path for each in clean(settings, days=0, keep=1, dry_run=True)}
    gone = {each.path for each in clean(settings, days=0, keep=1, dry_run=False)}
    assert gone == there
    assert gone, "every backfill leaves one"
    assert not any(path.exists() for path in gone)
    restored = cluster.checkpoints(job)["latest"]["restored"]["external_path"]
    assert Path(urlsplit(restored).path).exists(), "the running job was resumed from it"
    savepoint = jobs.stop(settings, JOB)
    clean(settings, days=0, keep=1, dry_run=False)
    assert Path(urlsplit(savepoint).path).exists(), "the job can be resumed from it"
    jobs.resume(settings, JOB)
    agrees(settings, ledger=85)


def test_without_anything_to_go_on_from_it_refuses(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.stop(settings, JOB)
    journal = settings.stack.path / "jobs" / f"{JOB}.jsonl"
    kept = [json.loads(line) for line in journal.read_text().splitlines()]
    assert kept
    slate.without_job(settings, JOB)
    hidden = deliveries.settings().model_copy(update={"flink": settings.flink})
    if restore_path(hidden, JOB) is None:
        assert control(["backfill", JOB, "--from", "earliest"]) == 1
        assert "Nothing is known that deliveries could go on from" in capsys.readouterr().err
