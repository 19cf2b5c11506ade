import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from conf import settings
from generators.deliveries.orders import Plan
from generators.manifest import read_manifest

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

START = "2026-11-21T12:00:00+09:00"


@pytest.fixture(scope="module")
def brokers() -> str:
    return settings.load().kafka.bootstrap_servers


@pytest.fixture
def topic(brokers: str) -> Iterator[str]:
    name = f"test.deliveries.{secrets.token_hex(4)}"
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics([NewTopic(name, 3, settings.load().kafka.replication)])
    yield name
    admin.delete_topics([name])
    admin.close()


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "generators.deliveries", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=settings.ROOT,
        env={**os.environ, **environment},
    )


def finished(generator: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = generator.communicate(timeout=90)
    return generator.returncode, out, err


def published(brokers: str, topic: str) -> list[tuple[bytes, bytes | None, int]]:
    """All records of the topic: key, value, partition."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            found += [(record.key, record.value, record.partition) for record in records]
    consumer.close()
    return found


def test_every_record_arrives_once_byte_for_byte(brokers: str, topic: str, tmp_path: Path) -> None:
    shares = {"malformed_share": 0.05, "late_share": 0.05, "duplicate_share": 0.05}
    options = [part for name, share in shares.items() for part in (f"--{name.replace('_', '-')}", share)]
    code, out, err = finished(
        start("--topic", topic, "--rate", "max", "--count", 5_000, "--seed", 21, "--start", START, "--processes", 2,
              "--manifest", tmp_path / "manifest", *options)
    )  # fmt: skip
    assert code == 0, err
    plan = Plan(seed=21, start=datetime.fromisoformat(START), processes=2, **shares)
    expected = [record for process in range(2) for record in islice(plan.records(process), 2_500)]
    found = published(brokers, topic)
    assert Counter((key, value) for key, value, _ in found) == Counter((each.key, each.value) for each in expected)
    assert Counter(kind for kind, _, _ in read_manifest(tmp_path / "manifest")) == Counter(e.kind for e in expected)
    assert "5,000 produced" in out

    homes: dict[bytes, set[int]] = {}
    for key, _, partition in found:
        homes.setdefault(key, set()).add(partition)
    assert all(len(partitions) == 1 for partitions in homes.values()), "a repeat lies in another partition"


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_all_acknowledged(
    brokers: str, topic: str, tmp_path: Path, processes: int, number: signal.Signals
) -> None:
    manifest = tmp_path / "manifest"
    generator = start(
        "--topic", topic, "--rate", 2_000, "--no-day-curve", "--processes", processes, "--manifest", manifest
    )
    deadline = time.monotonic() + 60
    while not (manifest.exists() and manifest.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    generator.send_signal(number)
    code, out, err = finished(generator)
    assert code == 0, err
    told = list(read_manifest(manifest))
    assert out.startswith(f"{len(told):,} produced: ")
    assert Counter(key.decode() for key, _, _ in published(brokers, topic)) == Counter(key for _, key, _ in told)


def test_a_record_of_a_megabyte_gets_through(brokers: str, topic: str) -> None:
    code, _, err = finished(
        start("--topic", topic, "--rate", "max", "--count", 3, "--malformed-share", 1, "--malformed-kinds", "huge",
              "--late-share", 0)
    )  # fmt: skip
    assert code == 0, err
    values = [value or b"" for _, value, _ in published(brokers, topic)]
    assert [len(value) for value in values] == [1_000_000] * 3


def test_a_missing_topic_is_named() -> None:
    code, _, err = finished(start("--topic", "test.not-there", CITYSTREAM__DELIVERIES__GENERATOR__DEADLINE_SECONDS="3"))
    assert code == 1
    assert "waiting for topic test.not-there" in err
    assert err.rstrip().endswith("topic test.not-there is missing: run `make prepare`")
