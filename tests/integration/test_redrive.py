"""Dead letters go back to their topic once: mended, however often it is asked for, and killed half-way."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from conf.settings import ROOT, Settings
from control import reading
from control.redrive import BATCH, HEADER
from stack.redrive import main as redrive
from tests import deliveries, slate
from tests.integration.orders import order

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

COUNT = 3 * BATCH + 100
MEND = """
import json

def won(letter):
    if letter.reason != "wrong-type":
        return None
    order = json.loads(letter.value)
    order["pay"] = int(order["pay"].replace(",", ""))
    return json.dumps(order).encode()
"""
# The third transaction is with the brokers whole, and never ends.
KILLED = """
import os, signal, sys
from kafka import KafkaProducer
whole, commits = KafkaProducer.commit_transaction, []
def commit(producer):
    commits.append(producer)
    if len(commits) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(producer)
KafkaProducer.commit_transaction = commit
from stack.redrive import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def settings(servers: None) -> Iterator[Settings]:
    """The job has met a producer that writes money with a comma, and two records that are no orders."""
    settings = deliveries.settings()
    with deliveries.running(settings):
        deliveries.send(settings, b"no order", b"nor this")
        # Letters of several partitions come in any order; a test chooses among the first by offset.
        slate.await_that(lambda: len(deliveries.dead_letters(settings)) == 2, 120, "the first two are dead letters")
        with closing(KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers.split(","))) as producer:
            for number in range(COUNT):
                producer.send(deliveries.TOPIC, order(order_id=f"comma-{number}", pay="12,000"), b"%d" % number)
            producer.flush()
        slate.await_that(lambda: len(deliveries.dead_letters(settings)) == COUNT + 2, 120, "all are dead letters")
        yield settings


@pytest.fixture
def mend(tmp_path: Path) -> str:
    file = tmp_path / "mend.py"
    file.write_text(MEND)
    return f"{file}:won"


def redriven(settings: Settings) -> dict[str, list[Any]]:
    """The records that came back, by what they came from."""
    found: dict[str, list[Any]] = {}

    def take(record: Any) -> None:
        for name, value in record.headers or ():
            if name == HEADER:
                found.setdefault(value.decode(), []).append(record)

    with reading.Reader(settings, [deliveries.TOPIC]) as records:
        records.read(take)
    return found


def test_each_letter_goes_back_once_though_the_first_run_is_killed(
    settings: Settings, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [deliveries.LETTERS, "--mend", mend]
    assert redrive([*arguments, "--dry-run"]) == 0
    assert f"{COUNT:,} letters would go back to deliveries; the mend left 2." in capsys.readouterr().out
    assert not redriven(settings)

    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert redrive(arguments) == 0
    assert (
        f"{COUNT - 2 * BATCH:,} letters went back to deliveries; {2 * BATCH:,} had gone before"
        in capsys.readouterr().out
    )
    assert redrive(arguments) == 0
    assert f"0 letters went back to deliveries; {COUNT:,} had gone before; the mend left 2." in capsys.readouterr().out

    came = redriven(settings)
    assert len(came) == COUNT
    assert {len(records) for records in came.values()} == {1}
    for (record,) in came.values():
        number = json.loads(record.value)["order_id"].removeprefix("comma-")
        assert record.key == number.encode(), "a record keeps its key"
    report = deliveries.await_agreement(settings, deliveries.TOPIC, 90)
    assert report.agrees, report.wrong + report.moving
    assert report.ledger == COUNT
    assert report.repeats == 0
    assert report.dead_letters == Counter({"wrong-type": COUNT, "not-json": 2})


def test_letters_are_chosen_by_reason_and_offset(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for options, count in (
        (["--reason", "not-json"], 2),
        (["--reason", "not-json", "--reason", "empty"], 2),
        (["--reason", "empty"], 0),
        (["--offsets", "0-0", "--reason", "not-json"], 1),
        (["--until", "2026-01-01"], 0),
    ):
        assert redrive([deliveries.LETTERS, *options, "--dry-run"]) == 0
        assert f"{count} letters would go back" in capsys.readouterr().out, options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deliveries"], "is no topic of dead letters; there are: deliveries.dead-letters"),
        ([deliveries.LETTERS], "as they are, they would only come back"),
        ([deliveries.LETTERS, "--mend", "json:nothing"], "There is no mend json:nothing"),
        ([deliveries.LETTERS, "--mend", "base64:b64encode"], "The mend failed for the letter deliveries|"),
    ],
)
def test_what_can_not_be_is_said(
    settings: Settings, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redrive([*arguments, "--dry-run"]) == 1
    assert said in capsys.readouterr().err
