"""Batches of every codec, the largest records that brokers take, and those that would unpack to more than that."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, MessageSizeTooLargeError

from conf.settings import Settings
from control.cluster import Cluster
from sinks import kafka
from stack.artifacts import Programs
from stack.layout import Layout
from stack.lifecycle import LocalStack
from tests import carbon, deliveries, slate
from tests.integration.orders import order

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

CODECS = ("gzip", "snappy", "lz4", "zstd")
SECONDS = 90
MAY = date(2026, 5, 1)
# What fits a batch of a topic beside a key and Kafka's own fields.
LARGEST = kafka.RECORD_BYTES - 200
JAVA = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"

LARGE_ORDERS = {
    "control characters": b"\x01" * LARGEST,
    "a name of control characters": b'{"' + b"\\u0001" * (LARGEST // 6 - 1) + b'": 1}',
    "no end": b'{"menu": "' + "치".encode() * (LARGEST // 3 - 10),
    "blanks": b" " * LARGEST,
    "a number": b'{"pay": ' + b"7" * (LARGEST - 20) + b"}",
}
LARGE_BODIES = {
    "a DOCTYPE with a long name": b"<!DOCTYPE " + "é".encode() * (LARGEST // 2 - 20) + b"><response/>",
    "an HTML page": b"<html>" + b"\x01" * (LARGEST - 10),
    "a tag": b"<" + b"a" * (LARGEST - 10) + b">",
    "a month": carbon.body("A1", MAY).replace(b"202605", b"9" * (LARGEST - 1000)),
    "an error": b"<OpenAPI_ServiceResponse><cmmMsgHeader><returnAuthMsg>"
    + "é".encode() * (LARGEST // 2 - 100)
    + b"</returnAuthMsg></cmmMsgHeader></OpenAPI_ServiceResponse>",
}
LARGE_DAYS = {
    "a field": b'{"stnId": "143", "tm": "' + b"\\u0001" * (LARGEST // 6 - 10) + b'"}',
    "a surrogate": b'{"stnId": "' + b"\\ud800" * (LARGEST // 6 - 10) + b'", "tm": "2026-05-01"}',
}


@contextlib.contextmanager
def kept_packed(settings: Settings, topic: str) -> Iterator[None]:
    """Let the brokers keep batches of a topic as they come, as a topic of one's own may."""
    with contextlib.closing(kafka.admin(settings)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"compression.type": "producer"})])
    try:
        yield
    finally:
        kafka.create_topics(settings)


def pack(settings: Settings, topic: str, codec: str, key: str, value: bytes) -> None:
    """Produce with Kafka's own client, which has all codecs."""
    programs = Programs.under(Layout.of(settings.stack).cache, "")
    command = [JAVA, "-Xmx128m", "-cp", f"{programs.kafka}/*", "org.apache.kafka.tools.ConsoleProducer"]
    command += [f"--bootstrap-server={settings.kafka.bootstrap_servers}", f"--topic={topic}"]
    command += [f"--compression-codec={codec}", "--property=parse.key=true", "--property=key.separator=\t"]
    done = subprocess.run(command, input=key.encode() + b"\t" + value + b"\n", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def send(settings: Settings, topic: str, *values: bytes, codec: str | None = None) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers.split(","),
        acks="all",
        max_request_size=2**30,
        compression_type=codec,
    )
    with contextlib.closing(producer):
        for value in values:
            producer.send(topic, value, b"k").get(60)


def nodes(settings: Settings) -> dict[str, int | None]:
    """The processes of the brokers."""
    states = LocalStack.of(settings.stack).supervisor.states()
    return {state.name: state.pid for state in states if state.name.startswith("kafka")}


def assert_letters(read: Callable[[], list[dict[str, object]]], values: dict[str, bytes]) -> None:
    """Each of these records is a dead letter, with its bytes."""
    slate.await_that(lambda: len(read()) >= len(values), SECONDS, "the dead letters are there")
    found = {slate.raw(letter) for letter in read()}
    assert [name for name, value in values.items() if value not in found] == []


def test_deliveries() -> None:
    settings = deliveries.settings()
    cluster = Cluster(settings.flink.url)
    with deliveries.running(settings) as job:
        started = cluster.last_start(job)
        with kept_packed(settings, deliveries.TOPIC):
            for codec in CODECS:
                pack(settings, deliveries.TOPIC, codec, codec, order(order_id=codec))
        brokers = nodes(settings)
        with pytest.raises(MessageSizeTooLargeError):
            send(settings, deliveries.TOPIC, b" " * 30_000_000, codec="gzip")
        with pytest.raises(KafkaError):  # more than a broker has memory for
            send(settings, deliveries.TOPIC, b" " * 300_000_000, codec="gzip")
        assert nodes(settings) == brokers
        send(settings, deliveries.TOPIC, *LARGE_ORDERS.values())
        slate.await_that(
            lambda: sorted(deliveries.ledger_ids(settings)) == sorted(CODECS), SECONDS, "an order of each codec"
        )
        assert_letters(lambda: deliveries.dead_letters(settings), LARGE_ORDERS)
        report = deliveries.await_agreement(settings, deliveries.TOPIC, SECONDS)
        assert not report.wrong, report.wrong
        assert cluster.last_start(job) == started


def test_carbon() -> None:
    settings = carbon.settings()
    cluster = Cluster(settings.flink.url)
    with carbon.running(settings) as job:
        started = cluster.last_start(job)
        with kept_packed(settings, "energy.usage"):
            for codec in CODECS:
                body = carbon.body(codec, MAY, electricity="5000")
                pack(settings, "energy.usage", codec, f"{codec}|2026-05", body)
        send(settings, "energy.usage", *LARGE_BODIES.values())
        send(settings, "weather.daily", *LARGE_DAYS.values())
        slate.await_that(
            lambda: sorted(carbon.actual(settings, "energy_usage")["complex_id"]) == sorted(CODECS),
            SECONDS,
            "a usage of each codec",
        )
        assert_letters(lambda: carbon.dead_letters(settings, "energy.usage"), LARGE_BODIES)
        assert_letters(lambda: carbon.dead_letters(settings, "weather.daily"), LARGE_DAYS)
        assert cluster.last_start(job) == started
