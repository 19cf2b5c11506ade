import socket
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from generators import deliveries
from generators.deliveries import GeneratorError, Manifest, Run, Tally, produce, read_manifest
from generators.orders import Plan, stream

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
    expected = list(islice(stream(PLAN), 2_000))
    assert producer.sent == [(record.key, record.value) for record in expected]
    kinds = Counter(record.kind for record in expected)
    assert (tally.valid, tally.malformed, tally.repeats) == (kinds["valid"], kinds["malformed"], kinds["repeat"])
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
        for record in islice(stream(PLAN), 3_000)
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
    records = list(islice(stream(Plan(seed=1, start=PLAN.start)), 6))
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
    monkeypatch.setattr(deliveries, "MOST_UNACKNOWLEDGED", 1_000)
    producer = FakeProducer(at_once=False)
    looks = iter(range(10))
    run(producer, None, must_stop=lambda: next(looks, None) is None)
    assert 1_000 <= len(producer.sent) <= 1_500


def test_the_pace_is_kept() -> None:
    reports: list[Tally] = []
    began = datetime.now(UTC)
    run(FakeProducer(), 600, plan=replace(PLAN, rate=400), report=lambda tally: reports.append(replace(tally)))
    assert 1.3 < (datetime.now(UTC) - began).total_seconds() < 3
    assert 300 < reports[0].produced < 500


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
        deliveries.main(arguments)
    assert error.value.code == 2
    assert sentence in capsys.readouterr().err


def test_it_says_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(GeneratorError, match=f"no broker answers at {address}: start the stack"):
            deliveries.wait_for_brokers(address, 0.6)
    assert f"waiting for a broker at {address} (" in capsys.readouterr().err
