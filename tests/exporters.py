"""What a Prometheus of a test scrapes besides Flink: the metrics of the exporters that alerts ask for, of real servers.

The exporters themselves are images or packages; these have the same names, labels and meanings.
"""

import contextlib
from collections.abc import Iterator

import prometheus_client
from kafka import KafkaAdminClient
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from conf.settings import Settings
from sinks import elasticsearch, kafka


class Kafka(Collector):
    """As kafka_exporter: the partitions that lack a replica."""

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin = admin

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = GaugeMetricFamily("kafka_topic_partition_under_replicated_partition", "", labels=("topic", "partition"))
        for topic in self._admin.describe_topics():
            for part in topic["partitions"]:
                lacks = len(part["isr_nodes"]) < len(part["replica_nodes"])
                found.add_metric((topic["name"], str(part["partition_index"])), float(lacks))
        yield found


class Disk(Collector):
    """As elasticsearch_exporter, for a disk that has room for what its indices take and `room` bytes more."""

    def __init__(self, settings: Settings, room: int) -> None:
        self._settings = settings
        self.size = self.taken() + room

    def taken(self) -> int:
        """Bytes of all indices."""
        with elasticsearch.client(self._settings) as client:
            return int(client.indices.stats(metric="store")["_all"]["total"]["store"]["size_in_bytes"])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, value in (("available", self.size - self.taken()), ("size", self.size)):
            found = GaugeMetricFamily(f"elasticsearch_filesystem_data_{name}_bytes", "", labels=("name",))
            found.add_metric(("node",), float(max(0, value)))
            yield found


@contextlib.contextmanager
def serving(collector: Collector) -> Iterator[int]:
    """Answer Prometheus on a port of the loopback interface, which it gives."""
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def all_of(settings: Settings, disk: Disk) -> Iterator[dict[str, int]]:
    """Both, by the job that scrapes it."""
    with (
        contextlib.closing(kafka.admin(settings)) as admin,
        serving(Kafka(admin)) as of_kafka,
        serving(disk) as of_disk,
    ):
        yield {"kafka": of_kafka, "elasticsearch": of_disk}
