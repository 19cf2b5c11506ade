"""What `make doctor` looks for in servers that answer: each check says what it found, or raises what to do."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import elastic_transport
from elasticsearch import ApiError
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from psycopg2 import errors

from conf.settings import Settings
from conf.templates import templates
from control.cluster import Cluster
from sinks import elasticsearch, kafka, postgres
from sinks.errors import NotReadyError

OPEN_TRANSACTION_SECONDS = 60
STAGED_SECONDS = 300
SKEW_SECONDS = 2.0


@contextlib.contextmanager
def _kafka(settings: Settings) -> Iterator[KafkaAdminClient]:
    try:
        with contextlib.closing(kafka.admin(settings)) as admin:
            yield admin
    except KafkaError as error:
        message = f"Kafka at {settings.kafka.bootstrap_servers} does not say: {type(error).__name__}: {error}"
        raise NotReadyError(message) from error


def brokers(settings: Settings) -> str:
    """All brokers that hold replicas are there, and each replica is in sync."""
    with _kafka(settings) as admin:
        there = {broker["broker_id"] for broker in admin.describe_cluster()["brokers"]}
        topics = admin.describe_topics()
    holding = {replica for topic in topics for part in topic["partitions"] for replica in part["replica_nodes"]}
    if gone := sorted(holding - there):
        message = (
            f"Kafka's broker {', '.join(map(str, gone))} is down: start it (`make restart SERVICE=kafka-{gone[0]}`). "
            "With one of three away all goes on; with two, nothing can be written."
        )
        raise NotReadyError(message)
    behind = sorted(
        f"{topic['name']}-{part['partition_index']}"
        for topic in topics
        for part in topic["partitions"]
        if set(part["isr_nodes"]) < set(part["replica_nodes"])
    )
    if behind:
        shown = ", ".join(behind[:3]) + (" ..." if len(behind) > 3 else "")
        message = (
            f"{len(behind)} partitions lack a replica in sync ({shown}): a broker that has just come back catches up "
            "by itself; else see the log of the one that is missing."
        )
        raise NotReadyError(message)
    return f"{len(there)}, all replicas in sync"


def topics(settings: Settings) -> str:
    """The topics are as `make prepare` makes them: partitions, and each part of their configuration."""
    wanted = kafka.topics(settings)
    with _kafka(settings) as admin:
        there = {topic["name"]: topic for topic in admin.describe_topics()}
        if missing := [name for name in wanted if name not in there]:
            message = f"Kafka has no topic {missing[0]}: run `make prepare`."
            raise NotReadyError(message)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
        configured = admin.describe_configs(resources, config_filter="all")["topic"]
    for name, options in wanted.items():
        partitions = len(there[name]["partitions"])
        if partitions < options["num_partitions"]:
            message = (
                f"Kafka's topic {name} has {partitions} partitions, the settings say {options['num_partitions']}: no "
                f"more subtasks than that can read it. Add partitions (kafka-topics.sh --alter; keys then move, so "
                f"with producers and job stopped), or set topics.{name}.partitions: {partitions}."
            )
            raise NotReadyError(message)
        for key, value in options["configs"].items():
            found = configured[name][key]["value"]
            if str(found) != str(value):
                message = f"Kafka's topic {name} has {key} = {found}, it should be {value}: run `make prepare`."
                raise NotReadyError(message)
    return f"{len(settings.topics)} with their dead letters"


def transactions(settings: Settings) -> str:
    """No transaction was left open in a topic of ours: its readers see nothing after it."""
    with _kafka(settings) as admin:
        parts = [
            TopicPartition(topic["name"], part["partition_index"])
            for topic in admin.describe_topics(list(kafka.topics(settings)))
            for part in topic["partitions"]
        ]
        states = admin.describe_producers(parts)
    now = time.time() * 1000
    for at, state in sorted(states.items()):
        for producer in state.active_producers:
            age, start = (now - producer.last_timestamp) / 1000, producer.current_transaction_start_offset
            if start >= 0 and age > OPEN_TRANSACTION_SECONDS:
                message = (
                    f"A transaction in topic {at.topic}, partition {at.partition}, has been open for {age:,.0f} s, and "
                    f"jobs read nothing behind it: end its producer, or `kafka-transactions.sh abort --topic "
                    f"{at.topic} --partition {at.partition} --start-offset {start}`."
                )
                raise NotReadyError(message)
    return "none is left open"


def staged(settings: Settings) -> str:
    """No epoch of a ledger has waited for its checkpoint for long."""
    try:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT ledger, count(*), extract(epoch FROM now() - min(staged_at)) FROM staging.epochs"
                " WHERE committed_at IS NULL GROUP BY 1 ORDER BY 3 DESC"
            )
            waiting = cursor.fetchall()
    except errors.UndefinedTable as error:
        message = "PostgreSQL has no staging.epochs: run `make prepare`."
        raise NotReadyError(message) from error
    for ledger, count, age in waiting:
        if age > STAGED_SECONDS:
            job = ledger.split(".")[0]
            message = (
                f"{count} epochs of {ledger} have been staged for up to {age:,.0f} s and are in no table: the job is "
                f"not running, or completes no checkpoint. `make resume JOB={job}` commits or gives up each of them."
            )
            raise NotReadyError(message)
    return f"{sum(count for _, count, _ in waiting)} epochs wait for their checkpoint"


def index_templates(settings: Settings) -> str:
    """The templates are there and as they are here, and indices have the fields that theirs has."""
    wanted = templates()
    try:
        with elasticsearch.client(settings) as client:
            there = {
                each["name"]: each["index_template"]
                for each in client.indices.get_index_template()["index_templates"]
                if each["name"] in wanted
            }
            mapped = client.indices.get_mapping(index=list(wanted), ignore_unavailable=True)
    except (ApiError, elastic_transport.TransportError) as error:
        message = f"Elasticsearch at {settings.elasticsearch.url} does not say: {error}"
        raise NotReadyError(message) from error
    for name, template in sorted(wanted.items()):
        if name not in there:
            message = f"Elasticsearch has no index template {name}: run `make prepare`."
            raise NotReadyError(message)
        if _plain(there[name]) != _plain(template):
            message = f"Elasticsearch's index template {name} is not that of this version: run `make prepare`."
            raise NotReadyError(message)
    for index, found in sorted(mapped.items()):
        fields = wanted[index]["template"]["mappings"]["properties"]
        if lacking := sorted(fields.keys() - found["mappings"].get("properties", {})):
            message = (
                f"Elasticsearch's index {index} is older than its template and lacks {', '.join(lacking)}: documents "
                f"with that are refused. Delete it and read the topic again (`make submit FRESH=1`), or add the fields."
            )
            raise NotReadyError(message)
    return f"{len(wanted)} index templates"


def _plain(template: Mapping[str, Any]) -> tuple[object, ...]:
    """What a template says, in one form: Elasticsearch gives settings back nested, and as text."""
    inner = template["template"]
    return (
        sorted(template["index_patterns"]),
        template.get("priority"),
        inner.get("mappings"),
        {key.removeprefix("index."): str(value) for key, value in _flat(inner.get("settings", {})).items()},
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def clocks(settings: Settings) -> str:
    """The clocks of PostgreSQL, Elasticsearch and Flink agree with this machine's."""
    found: dict[str, float] = {}
    for name, ask in (("PostgreSQL", _postgres_time), ("Elasticsearch", _elasticsearch_time), ("Flink", _flink_time)):
        asked = time.time()
        theirs = ask(settings)
        if theirs is not None:
            found[name] = skew(asked, theirs, time.time())
    for name, seconds in found.items():
        if abs(seconds) > SKEW_SECONDS:
            message = (
                f"The clock of {name}'s machine is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this "
                "one's, which makes ages and lateness wrong: keep both by NTP (`timedatectl set-ntp true`)."
            )
            raise NotReadyError(message)
    return f"{', '.join(found)} within {SKEW_SECONDS:g} s of this machine's"


def skew(asked: float, theirs: float, answered: float) -> float:
    """By how many seconds another clock, which told `theirs` between `asked` and `answered`, is ahead for certain."""
    return max(theirs - answered, 0.0) + min(theirs - asked, 0.0)


def _postgres_time(settings: Settings) -> float | None:
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float((cursor.fetchone() or (0,))[0])


def _elasticsearch_time(settings: Settings) -> float | None:
    try:
        with elasticsearch.client(settings) as client:
            nodes = client.nodes.stats(metric="process")["nodes"]
    except (ApiError, elastic_transport.TransportError):  # the API key need not have that right
        return None
    return max((node["timestamp"] / 1000 for node in nodes.values()), default=None)


def _flink_time(settings: Settings) -> float | None:
    return Cluster(settings.flink.url).now()
