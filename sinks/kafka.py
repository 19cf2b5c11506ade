"""Kafka: topics, and dead letters written exactly once.

Contract of `dead_letters`: each record that can't be used arrives once, in transactions that end with the job's
checkpoints; readers with `isolation.level=read_committed` see only what a completed checkpoint contains.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from conf.settings import Settings
from sinks.errors import NotReadyError

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

# Longer than any restart should take: what is in an open transaction when it times out must be read again.
TRANSACTION_TIMEOUT_MS = 600_000
# A dead letter carries the raw record in base64: a record of the default 1 MiB limit needs 4/3 of it and a little.
DEAD_LETTER_BYTES = 4 * 1024 * 1024


def dead_letter_topic(topic: str) -> str:
    """Where the records of a topic go that can't be used."""
    return f"{topic}.dead-letters"


def dead_letters(stream: "DataStream", topic: str, settings: Settings) -> None:
    """Write JSON strings to the dead-letter topic of `topic`, exactly once.

    Raises:
        NotReadyError: a topic is missing, or the brokers would cut the sink's transactions short.
    """
    from pyflink.common.serialization import SimpleStringSchema
    from pyflink.datastream.connectors.base import DeliveryGuarantee
    from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink
    from pyflink.java_gateway import get_gateway

    check(settings, topic)
    to = dead_letter_topic(topic)
    builder = KafkaSink.builder()
    # Ids from a pool kept in state: after a crash only transactions that are really open are aborted, not every id
    # that might have been used, which takes seconds. PyFlink's builder has no method for it.
    strategies = get_gateway().jvm.org.apache.flink.connector.kafka.sink.TransactionNamingStrategy
    builder._j_builder.setTransactionNamingStrategy(strategies.POOLING)
    sink = (
        builder.set_bootstrap_servers(settings.kafka.bootstrap_servers)
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic(to)
            .set_value_serialization_schema(SimpleStringSchema())
            .build()
        )
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(f"citystream.{to}")
        .set_property("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
        .set_property("max.request.size", str(DEAD_LETTER_BYTES))
        .build()
    )
    stream.sink_to(sink).name(f"{topic}: dead letters").uid(f"{topic}.dead-letters")


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


def create_topics(settings: Settings) -> list[str]:
    """Create the topics of the settings and their dead-letter topics where missing; return those created."""
    common = {"min.insync.replicas": settings.kafka.min_insync_replicas}
    wanted: dict[str, dict[str, Any]] = {}
    for name, topic in settings.topics.items():
        kept = {"retention.ms": -1} if topic.keep else {}
        wanted[name] = {"num_partitions": topic.partitions, "configs": {**common, **kept}}
        large = {**common, "max.message.bytes": DEAD_LETTER_BYTES}
        wanted[dead_letter_topic(name)] = {"num_partitions": 1, "configs": large}
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
        except TopicAlreadyExistsError:
            return create_topics(settings)  # somebody else created one meanwhile
        except KafkaError as error:
            message = f"Kafka refused to create {', '.join(missing)}: {error}"
            raise NotReadyError(message) from error
    return list(missing)


def check(settings: Settings, topic: str) -> None:
    """Refuse to start where a topic is missing or the brokers would cut the sink's transactions short.

    Raises:
        NotReadyError: says what to change.
    """
    with contextlib.closing(admin(settings)) as client:
        there = set(client.list_topics())
        for name in (topic, dead_letter_topic(topic)):
            if name not in there:
                message = f"Kafka has no topic {name}: run `make prepare`."
                raise NotReadyError(message)
        longest = _transaction_max_timeout_ms(client)
    if longest < TRANSACTION_TIMEOUT_MS:
        message = (
            f"The brokers end a transaction after {longest} ms, the job needs {TRANSACTION_TIMEOUT_MS} ms: "
            "raise transaction.max.timeout.ms on the brokers."
        )
        raise NotReadyError(message)


def _transaction_max_timeout_ms(client: KafkaAdminClient) -> int:
    broker = str(client.describe_cluster()["brokers"][0]["broker_id"])
    setting = "transaction.max.timeout.ms"
    resource = ConfigResource(ConfigResourceType.BROKER, broker, {setting: ""})
    described = client.describe_configs([resource], config_filter="all")
    return int(next(iter(next(iter(described.values())).values()))[setting]["value"])
