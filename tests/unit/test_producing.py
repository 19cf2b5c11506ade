import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from conf.settings import ROOT
from generators import plans, producing
from generators.brokers import GeneratorError, client, wait_for_brokers
from generators.deliveries import __main__ as command
from generators.deliveries.orders import Plan
from generators.manifest import Manifest, read_manifest
from generators.plans import RATE_STEP_SECONDS, Rate, Record, due_times
from generators.producing import Run, Tally, produce

PLAN = Plan(
    seed=3,
    start=datetime(2026, 11, 21, 3, 0, tzinfo=UTC),
    malformed_share=0.05,
    late_share=0.05,
    duplicate_share=0.05,
)


class FakeProducer:
    """Acknowledges at once, at the flush, or fails the record with a given number."""

    def __init__(self, at_once: bool = True, fails_at: int | None = None, flushes: bool = True) -> None:
        self.sent: list[tuple[bytes, bytes | None]] = []
        self._at_once, self._fails_at, self._flushes = at_once, fails_at, flushes
        self._open: list[Future] = []

    def send(self, topic: str, value: bytes | None, key: bytes) -> Future:
        future = Future()
        self.sent.append((key, value))
        if len(self.sent) == self._fails_at:
            future.failure(KafkaTimeoutError("expired"))
        elif self._at_once:
            future.success(None)
        else:
            self._open.append(future)
        return future

    def flush(self, timeout: float) -> None:
        if not self._flushes:
            raise KafkaTimeoutError
        for future in self._open:
            future.success(None)


def run(
    producer: FakeProducer, count: int | None, plan: Plan = PLAN, manifest: Path | None = None, **how: Any
) -> Tally:
    run = Run(plan, "nowhere", "deliveries", count, manifest, deadline_seconds=1)
    return produce(run, 0, producer, how.get("report", lambda _: None), how.get("must_stop", lambda: False))


def test_everything_sent_is_counted() -> None:
    producer = FakeProducer()
    tally = run(producer, 2_000)
    expected = list(islice(PLAN.records(), 2_000))
    assert producer.sent == [(record.key, record.value) for record in expected]
    kinds = Counter(record.kind for record in expected)
    assert tally.kinds == kinds
    assert tally.produced == 2_000
    assert tally.late == sum(record.kind == "valid" and record.reason == "late" for record in expected)


def test_a_failed_record_ends_the_run_with_a_count() -> None:
    with pytest.raises(
        GeneratorError, match=r"1 records were not delivered to deliveries \(KafkaTimeoutError: .*expired"
    ):
        run(FakeProducer(fails_at=700), 2_000)


def test_the_last_record_may_not_fail_unseen() -> None:
    with pytest.raises(GeneratorError, match="not delivered"):
        run(FakeProducer(fails_at=50), 50)


def test_records_without_acknowledgement_end_the_run_with_a_count() -> None:
    with pytest.raises(GeneratorError, match="40 records were not acknowledged within 1 s"):
        run(FakeProducer(at_once=False, flushes=False), 40)


def test_the_manifest_tells_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    run(FakeProducer(), 3_000, manifest=path)
    told = Counter(read_manifest(path))
    expected = Counter(
        (record.kind, record.key.decode(), record.reason if record.kind == "malformed" else "")
        for record in islice(PLAN.records(), 3_000)
    )
    assert told == expected
    assert path.stat().st_size < 3_000 * 15


def test_the_manifest_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    run(FakeProducer(), 100, manifest=path)
    run(FakeProducer(), 100, plan=replace(PLAN, seed=4), manifest=path)
    assert sum(1 for _ in read_manifest(path)) == 200


def test_a_failed_record_is_not_in_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    producer = FakeProducer(fails_at=10)
    with pytest.raises(GeneratorError):
        run(producer, 30, manifest=path)
    assert producer.sent[9][0].decode() not in [key for kind, key, _ in read_manifest(path) if kind == "valid"]
    assert sum(1 for _ in read_manifest(path)) == 29


def test_an_open_run_of_orders_is_written_at_each_flush(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest")
    records = list(islice(Plan(seed=1, start=PLAN.start).records(), 6))
    for record in records[:4]:
        manifest.add(record)
    manifest.flush()
    assert len(list(read_manifest(tmp_path / "manifest"))) == 4
    for record in records[4:]:
        manifest.add(record)
    manifest.close()
    assert [key for _, key, _ in read_manifest(tmp_path / "manifest")] == [record.key.decode() for record in records]


def test_a_run_that_is_asked_to_stop_ends_well() -> None:
    producer = FakeProducer(at_once=False)
    tally = run(producer, None, plan=replace(PLAN, rate=5_000), must_stop=lambda: len(producer.sent) >= 100)
    assert tally.produced == len(producer.sent) >= 100


def test_memory_is_bounded_while_brokers_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producing, "MOST_UNACKNOWLEDGED", 1_000)
    producer = FakeProducer(at_once=False)
    looks = iter(range(10))
    run(producer, None, must_stop=lambda: next(looks, None) is None)
    assert 1_000 <= len(producer.sent) <= 1_500


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(producing, "time", clock)
    reports: list[Tally] = []
    run(FakeProducer(), 600, plan=replace(PLAN, rate=400), report=lambda tally: reports.append(tally + Tally()))
    assert clock.now == pytest.approx(1.5, abs=0.1)
    assert reports[0].produced == pytest.approx(400, abs=40)


@pytest.mark.parametrize(("count", "processes"), [(10, 3), (2, 3), (9, 3)])
def test_processes_share_the_count(count: int, processes: int) -> None:
    run = Run(replace(PLAN, processes=processes), "nowhere", "deliveries", count, None, 1)
    shares = [run.share_of(process) or 0 for process in range(processes)]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--malformed-share", "2"], "add up to 1"),
        (["--count", "0"], "--count must be at least 1"),
        (["--start", "soon"], "no ISO 8601 time"),
        (["--rate", "-3"], "the rate must be 0 or more"),
        (["--malformed-kinds", "boring"], "not_json"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(arguments)
    assert error.value.code == 2
    assert sentence in capsys.readouterr().err


def test_it_says_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(GeneratorError, match=f"no broker answers at {address}: start the stack"):
            wait_for_brokers(address, 0.6)
    assert f"waiting for a broker at {address} (" in capsys.readouterr().err


def test_a_signal_while_it_waits_ends_it_at_once() -> None:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    command = [sys.executable, "-m", "generators.deliveries"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "Acting on the servers in KAFKA_BOOTSTRAP_SERVERS.\n"
        assert "waiting for a broker" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(30) == 130


def test_a_producer_that_finds_no_broker_says_so() -> None:
    with (
        pytest.raises(GeneratorError, match=r"no broker answers at 127\.0\.0\.1:1: start the stack"),
        client("127.0.0.1:1", 0.3),
    ):
        pass


def due(rate: Rate, count: int, processes: int = 1) -> list[float]:
    """The first times, without chance: the gaps are those of the mean."""
    return list(islice(due_times(rate, processes, lambda: 0.5), count))


def test_a_constant_rate_has_constant_gaps() -> None:
    assert due(lambda _: 4, 9, processes=2) == pytest.approx([number / 2 for number in range(9)])
    assert due(lambda _: 0.04, 4) == pytest.approx([0, 25, 50, 75])


def test_a_burst_begins_at_once_and_ends_again() -> None:
    """A hundred times the rate for five seconds, though the gap before it would have reached beyond it."""
    times = due(lambda seconds: 5 if 10 <= seconds < 15 else 0.05, 40)
    burst = [at for at in times if 10 <= at < 15]
    assert len(burst) == 25
    assert burst[0] < 10 + RATE_STEP_SECONDS
    assert times[len(burst) + 2] - times[len(burst) + 1] > 10


def test_a_rate_of_nothing_is_a_pause() -> None:
    times = due(lambda seconds: 0 if seconds < 100 else 1, 3)
    assert times == pytest.approx([0, 101, 102])


@dataclass(frozen=True, kw_only=True)
class Sales(plans.Plan):
    """A stream with a kind of its own."""

    DAMAGES: ClassVar = {"empty": lambda value, draw: b""}
    malformed_kinds: tuple[str, ...] = ("empty",)

    def records(self, process: int = 0) -> Iterator[Record]:
        for number, at in enumerate(due_times(lambda _: self.rate or 1000, self.processes, lambda: 0.5)):
            kind = "cancellation" if number % 10 == 9 else "valid"
            yield Record(b"S-%09d" % (number - (kind == "cancellation")), b"{}", kind, "", at)


def test_another_stream_is_produced_with_its_own_kinds(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    tally = run(FakeProducer(), 100, plan=Sales(seed=1, start=PLAN.start), manifest=path)
    assert tally.kinds == {"valid": 90, "cancellation": 10}
    assert str(tally) == "100 produced: valid 90, of them late 0; cancellation 10"
    told = list(read_manifest(path))
    assert Counter(kind for kind, _, _ in told) == tally.kinds
    # Number 9 is a cancellation of 8: no line of valid ones spans it.
    assert {key for kind, key, _ in told if kind == "valid"} == {f"S-{n:09d}" for n in range(100) if n % 10 != 9}


def test_a_plan_of_another_stream_knows_its_own_damages() -> None:
    with pytest.raises(ValueError, match="malformed kinds are one or more of empty"):
        Sales(seed=1, start=PLAN.start, malformed_kinds=("huge",))
