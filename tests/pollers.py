"""What tests of the pollers share: a simulator as a process of its own, poller processes, and what came of them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

import httpx
from kafka import KafkaConsumer, TopicPartition

from conf.city import places
from conf.settings import ROOT, Entered, Settings, load
from generators.simulator.carbon import energy
from generators.simulator.carbon.services import World

TOPICS = ("complexes", "energy.usage", "energy.buildings", "weather.daily", "weather.forecast")
TODAY = date(2026, 11, 21)
COMPLEXES = len(places.complexes())
PLACES = {place.complex_id: place for place in places.complexes()}
# A city whose offices enter all there is, but for a few months.
RICH = load().simulator.energy.model_copy(
    update={
        "entered": Entered(electricity=1, gas=0.95, heat=1, hot_water=1, water=1),
        **{"late_share": 0.0, "old_code_share": 0.0},
    }
)


class Simulation:
    """The simulator as a process of its own, on a free port."""

    def __init__(self, log: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        chosen = {f"CITYSTREAM__SIMULATOR__{name.upper()}": str(value) for name, value in settings.items()}
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "generators.simulator", "--port", self.url.rpartition(":")[2]],
                cwd=ROOT,
                env={**os.environ, **chosen},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.log = log

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                self.get("health")
                return self
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the simulator doesn't answer"
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def get(self, path: str) -> Any:
        """What it tells of itself."""
        return httpx.get(f"{self.url}/simulator/{path}", timeout=60).raise_for_status().json()

    def put(self, path: str, **what: object) -> None:
        """Change it while it runs."""
        httpx.put(f"{self.url}/simulator/{path}", json=what, timeout=60).raise_for_status()

    def correct(self, complex_id: str, month: date, factor: float) -> None:
        """Enter a month anew."""
        what = {"complex_id": complex_id, "month": month.isoformat(), "factor": factor}
        httpx.post(f"{self.url}/simulator/corrections", json=what, timeout=60).raise_for_status()

    def forget(self) -> None:
        """Begin a new account of calls."""
        httpx.delete(f"{self.url}/simulator/calls", timeout=60).raise_for_status()

    def calls(self, operation: str | None = None) -> int:
        """How many calls arrived, of one operation or all."""
        told = self.get("calls")
        return sum(
            count
            for name, keys in told.items()
            if operation in (None, name)
            for outcomes in keys.values()
            for count in outcomes.values()
        )

    def outcomes(self, operation: str) -> dict[str, int]:
        """What became of an operation's calls, over all keys."""
        found: dict[str, int] = defaultdict(int)
        for outcomes in self.get("calls").get(operation, {}).values():
            for outcome, count in outcomes.items():
                found[outcome] += count
        return dict(found)

    def repeats(self) -> dict[str, dict[str, int]]:
        """What was answered well more than once."""
        return {operation: subjects for operation, subjects in self.get("calls/repeats").items() if subjects}


@dataclass
class Record:
    """A record of one of the topics."""

    topic: str
    key: str
    value: bytes
    timestamp: int
    offset: int
    headers: dict[str, str]


@dataclass
class Polling:
    """Poller processes with a state of their own, and the records they bring from now on."""

    folder: Path
    simulation: Simulation
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings: Settings = load()
        self.state_file = self.folder / "pollers.sqlite"
        self._begin = self._ends()

    def start(self, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        """Start a command; without a setting for it, no weather forecast is old enough to be asked for."""
        quick = {
            "watch__forecast_days": 0.000001,
            "timeout_seconds": 20,
            "put_off_seconds": 1,
            "longest_pause_seconds": 1,
            **settings,
        }
        chosen = {f"CITYSTREAM__POLLERS__{name.upper()}": str(value) for name, value in quick.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "generators.pollers.carbon", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "SIMULATOR_URL": self.simulation.url,
                "CITYSTREAM__POLLERS__STATE_FILE": str(self.state_file),
                **chosen,
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: object) -> tuple[int, str]:
        """Run a command; its exit code and what it said."""
        process = self.start(*arguments, **settings)
        out, err = process.communicate(timeout=540)
        return process.returncode, out + err

    def backfill(self, part: str, first: str, last: str, *more: str, **settings: object) -> tuple[int, str]:
        """Backfill one part of some months."""
        return self.run("backfill", part, "--from", first, "--to", last, *more, **settings)

    def records(self) -> list[Record]:
        """What the topics hold since this began."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.kafka.bootstrap_servers.split(","), enable_auto_commit=False
        )
        ends = self._ends()
        consumer.assign(list(ends))
        for partition, offset in self._begin.items():
            consumer.seek(partition, offset)
        found: list[Record] = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for partition, batch in consumer.poll(timeout_ms=500).items():
                found += [
                    Record(
                        partition.topic,
                        record.key.decode(),
                        record.value,
                        record.timestamp,
                        record.offset,
                        {name: value.decode() for name, value in record.headers},
                    )
                    for record in batch
                ]
        consumer.close()
        return found

    def latest(self, topic: str) -> dict[str, Record]:
        """The newest record of every key, as the job takes it: by timestamp, then by offset."""
        newest: dict[str, Record] = {}
        for record in self.records():
            before = newest.get(record.key)
            if record.topic == topic and (
                before is None or (before.timestamp, before.offset) <= (record.timestamp, record.offset)
            ):
                newest[record.key] = record
        return newest

    def _ends(self) -> dict[TopicPartition, int]:
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap_servers.split(","))
        partitions = [
            TopicPartition(topic, number) for topic in TOPICS for number in consumer.partitions_for_topic(topic) or ()
        ]
        ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
        consumer.close()
        return ends


def quantities(body: bytes) -> energy.Usage | None:
    """What a body says, read without the pollers' code; None: it can't be read."""
    try:
        item = ET.fromstring(body).find("body/item")  # noqa: S314 - the simulator's own
    except ET.ParseError:
        return None
    if item is None or b"<!DOCTYPE" in body:
        return None
    names = ("helect", "hgas", "hheat", "hwaterHot", "hwaterCool")
    return energy.Usage(*(int(item.findtext(name) or 0) for name in names))


def expected(settings: Settings, first: date, last: date, today: date = TODAY) -> dict[str, energy.Usage]:
    """What the services show on a day, recomputed: every month that has values, by key."""
    world = World.of(settings.simulator)
    shown = {
        f"{place.complex_id}|{month:%Y-%m}": world.usage(place, month, today)
        for place in places.complexes()
        for month in energy.months_between(first, last)
    }
    return {key: usage for key, usage in shown.items() if any(usage)}


def assert_all_is_there(polling: Polling, first: date, last: date) -> None:
    """Every month that has values is in the topic, with these values; what was not entered is there as zeros."""
    came = {
        record.key: found
        for record in polling.records()
        if record.topic == "energy.usage" and (found := quantities(record.value)) is not None
    }
    wanted = expected(polling.settings, first, last)
    assert {key: came.get(key) for key in wanted} == wanted
    assert not any(any(usage) for key, usage in came.items() if key not in wanted)
    assert len(came) == COMPLEXES * len(energy.months_between(first, last))


@contextlib.contextmanager
def simulation(folder: Path, **settings: object) -> Iterator[Simulation]:
    """A simulator on a day that stands still, with a rate that the pollers keep to."""
    with Simulation(folder / "simulator.log", **{"today": TODAY.isoformat(), **settings}) as running:
        yield running


def items(record: Record) -> dict[str, Any]:
    """A JSON record's fields."""
    return dict(json.loads(record.value))
