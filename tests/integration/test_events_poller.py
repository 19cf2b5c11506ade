"""The poller of events as a process of its own, against Kafka and the simulator over HTTP, killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from datetime import time as time_of_day
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from conf.settings import ROOT, load
from generators.pollers.events.plan import TOPIC
from generators.simulator.events.world import World, rendered
from tests.pollers import TODAY, Simulation

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

COUNT = 3_000


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Simulation]:
    with Simulation(tmp_path / "simulator.log", events__count=COUNT, today=TODAY, rate_per_second=0) as running:
        yield running


def ends() -> dict[TopicPartition, int]:
    consumer = KafkaConsumer(bootstrap_servers=load().kafka.bootstrap_servers.split(","))
    try:
        found = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()]
        return {partition: int(end) for partition, end in consumer.end_offsets(found).items()}
    finally:
        consumer.close()


def records(begin: dict[TopicPartition, int]) -> Iterator[tuple[str, dict[str, object]]]:
    """What the topic holds since then."""
    consumer = KafkaConsumer(bootstrap_servers=load().kafka.bootstrap_servers.split(","), enable_auto_commit=False)
    end = ends()
    consumer.assign(list(end))
    for partition, offset in begin.items():
        consumer.seek(partition, offset)
    while any(consumer.position(partition) < offset for partition, offset in end.items()):
        for batch in consumer.poll(timeout_ms=500).values():
            for record in batch:
                yield record.key.decode(), json.loads(record.value)
    consumer.close()


def start(simulated: Simulation, folder: Path) -> subprocess.Popen[str]:
    settings = {"state_file": folder / "events.sqlite", "page_size": 20, "rate_per_second": 200, "least_rank": 0}
    environment = {f"CITYSTREAM__POLLERS__EVENTS__{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "generators.pollers.events", "watch", "--once"],
        cwd=ROOT,
        env={**os.environ, "SIMULATOR_URL": simulated.url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_poller_that_is_killed_again_and_again_brings_every_event(simulated: Simulation, tmp_path: Path) -> None:
    begin = ends()
    for calls in (5, 25, 60):
        process = start(simulated, tmp_path)
        while process.poll() is None and simulated.calls("events") < calls:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(simulated, tmp_path)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    found = dict(records(begin))

    chosen = load()
    until = datetime.combine(TODAY, time_of_day.max, UTC)
    world = World(chosen.simulator.seed, COUNT, chosen.simulator.events.first_day)
    wanted = {
        version.event.event_id: rendered(version)
        for version in world.at(until)
        if version.event.category in chosen.pollers.events.categories
    }
    assert len(wanted) > 1_000
    assert found == wanted
    # Each kill costs the pages in flight again, one per country at most.
    countries = len(chosen.pollers.events.countries)
    assert simulated.calls("events") <= len(wanted) / 20 * 1.3 + 5 * countries
