"""Kafka: topics, dead letters, alerts, and records for other jobs.

Contract of `dead_letters`: each record that can't be used arrives at least once, under the key
`topic|partition|offset` by which a repeat is told. There is no transaction, so nothing ends while a server is away
(docs/decisions/0019). That of `alerts` and `records` is the same (docs/decisions/0033, 0071).
"""

import contextlib
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from conf.settings import Settings
from sinks.errors import NotReadyError
from sinks.rows import row_type

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

# What a record of a topic may take, Kafka's own few bytes included, once it is unpacked (docs/decisions/0020).
RECORD_BYTES = 1_048_588
# Which dead letters went back to their topic (control.redrive): a note each, for good.
REDRIVEN = "citystream.redriven"
# A dead letter carries the raw record in base64; citystream.records.DeadLetter keeps to it.
DEAD_LETTER_BYTES = 4 * 1024 * 1024


def dead_letter_topic(topic: str) -> str:
    """Where the records of a topic go that can't be used."""
    return f"{topic}.dead-letters"


def dead_letters(stream: "DataStream", topic: str, settings: Settings) -> None:
    """Write rows of `citystream.records.DeadLetter` to the dead-letter topic of `topic`, at least once.

    Raises:
        NotReadyError: a topic is missing or takes other records than `make prepare` lets it.
    """
    from pyflink.java_gateway import get_gateway

    check(settings, topic)
    to = dead_letter_topic(topic)
    serializer = get_gateway().jvm.citystream.records.DeadLetterSerializer(to)
    _attach(stream, serializer, settings, name=f"{topic}.dead-letters", shown=f"{topic}: dead letters")


def alerts(stream: "DataStream", topic: str, settings: Settings, *, name: str) -> None:
    """Write rows as JSON objects to `topic`, at least once, under their first column, by which a repeat is told.

    Args:
        stream: rows; the first column is text, and not null.
        topic: one of the settings' topics.
        settings: the brokers.
        name: the operator's uid.

    Raises:
        NotReadyError: the topic is missing.
    """
    from pyflink.java_gateway import get_gateway

    check(settings, topic)
    serializer = get_gateway().jvm.citystream.records.AlertSerializer(topic, row_type(stream))
    _attach(stream, serializer, settings, name=name, shown=name.replace(".", ": ", 1).replace("_", " "))


def records(stream: "DataStream", topic: str, settings: Settings, *, name: str) -> None:
    """Write rows of key, value (both text) and timestamp in ms to `topic`, at least once; a repeat is the same record.

    Raises:
        NotReadyError: the topic is missing.
    """
    from pyflink.java_gateway import get_gateway

    check(settings, topic)
    serializer = get_gateway().jvm.citystream.records.RecordSerializer(topic)
    _attach(stream, serializer, settings, name=name, shown=name.replace(".", ": ", 1))


def _attach(stream: "DataStream", j_serializer: Any, settings: Settings, *, name: str, shown: str) -> None:  # noqa: ANN401 - a py4j object
    from pyflink.datastream.connectors import Sink
    from pyflink.java_gateway import get_gateway

    jvm = get_gateway().jvm
    # PyFlink's own builder takes no serializer of ours.
    sink = (
        jvm.org.apache.flink.connector.kafka.sink.KafkaSink.builder()
        .setBootstrapServers(settings.kafka.bootstrap_servers)
        .setRecordSerializer(j_serializer)
        .setDeliveryGuarantee(jvm.org.apache.flink.connector.base.DeliveryGuarantee.AT_LEAST_ONCE)
        .setProperty("acks", "all")
        .setProperty("enable.idempotence", "true")
        .setProperty("max.request.size", str(DEAD_LETTER_BYTES))
        .build()
    )
    stream.sink_to(Sink(sink)).name(shown).uid(name)


def admin(settings: Settings) -> KafkaAdminClient:
    """A client of the brokers.

    Raises:
        NotReadyError: none answers.
    """
    servers = settings.kafka.bootstrap_servers
    try:
        return KafkaAdminClient(bootstrap_servers=servers.split(","), client_id="citystream")
    except KafkaError as error:
        message = (
            f"No Kafka broker answers at {servers} ({error}): start them (`make up`) or set KAFKA_BOOTSTRAP_SERVERS."
        )
        raise NotReadyError(message) from error


def topics(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every topic of the settings, its dead letters, and `REDRIVEN`: partitions and configuration as they are to be."""
    everywhere = {
        "min.insync.replicas": settings.kafka.min_insync_replicas,
        # The brokers unpack what comes compressed, and so see how large it is: nobody unpacks it after them.
        "compression.type": "uncompressed",
    }
    wanted: dict[str, dict[str, Any]] = {}
    for name, topic in settings.topics.items():
        common = {**everywhere, **({"retention.ms": -1} if topic.keep else {})}
        for each, partitions, largest in (
            (name, topic.partitions, RECORD_BYTES),
            (dead_letter_topic(name), 1, DEAD_LETTER_BYTES),
        ):
            wanted[each] = {"num_partitions": partitions, "configs": {**common, "max.message.bytes": largest}}
    wanted[REDRIVEN] = {"num_partitions": 1, "configs": {**everywhere, "cleanup.policy": "compact"}}
    return wanted


def create_topics(settings: Settings) -> list[str]:
    """Create the topics of the settings and their dead-letter topics where missing; return those created.

    Those that are there already get the same configuration, and keep their partitions.
    """
    wanted = topics(settings)
    with contextlib.closing(admin(settings)) as client:
        there = set(client.list_topics())
        missing = {
            name: {**options, "replication_factor": settings.kafka.replication}
            for name, options in wanted.items()
            if name not in there
        }
        try:
            if missing:
                client.create_topics(missing, wait_for_metadata=True)
            _configure(client, {name: wanted[name]["configs"] for name in wanted.keys() & there})
        except TopicAlreadyExistsError:
            return create_topics(settings)  # somebody else created one meanwhile
        except KafkaError as error:
            message = f"Kafka refused to prepare its topics ({', '.join(missing) or 'all are there'}): {error}"
            raise NotReadyError(message) from error
    return list(missing)


def _configure(client: KafkaAdminClient, configs: dict[str, dict[str, Any]]) -> None:
    if not configs:
        return
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, {key: str(value) for key, value in options.items()})
        for name, options in configs.items()
    ]
    for name, answer in client.alter_configs(resources)["topic"].items():
        if answer != "OK":
            message = f"Kafka refused the configuration of topic {name}: {answer}"
            raise NotReadyError(message)


def check(settings: Settings, topic: str) -> None:
    """Refuse to start where a topic is missing, takes records of any size, or too small dead letters.

    Raises:
        NotReadyError: says what to change.
    """
    names = (topic, dead_letter_topic(topic))
    with contextlib.closing(admin(settings)) as client:
        there = set(client.list_topics())
        for name in names:
            if name not in there:
                message = f"Kafka has no topic {name}: run `make prepare`."
                raise NotReadyError(message)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        described = client.describe_configs(resources, config_filter="all")["topic"]
    for name, key, is_right, needed in (
        (topic, "compression.type", lambda value: value == "uncompressed", "uncompressed"),
        (names[1], "max.message.bytes", lambda value: int(value) >= DEAD_LETTER_BYTES, f"{DEAD_LETTER_BYTES} or more"),
    ):
        found = described[name][key]["value"]
        if not is_right(found):
            message = f"Kafka's topic {name} has {key} = {found}, the job needs {needed}: run `make prepare`."
            raise NotReadyError(message)
