"""Three Kafka nodes in KRaft combined mode: each a broker and a controller."""

import functools
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from kafka import KafkaAdminClient

from stack.errors import StackError
from stack.services import HOST, Context, Service, properties

_HEAP = "384m"
_LOG4J = {
    "rootLogger.level": "INFO",
    "rootLogger.appenderRef.console.ref": "console",
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "%d{ISO8601} %-5p %c{1} - %m%n",
}

# What a node is tuned to; docker-compose.yml's nodes are tuned the same.
SETTINGS: Mapping[str, object] = {
    # A record is acknowledged by two brokers before it counts, so that one may be killed.
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
    "offsets.topic.num.partitions": 10,
    "transaction.state.log.num.partitions": 10,
    "share.coordinator.state.topic.num.partitions": 3,
    # A misspelt topic is an error, not a new topic with one partition.
    "auto.create.topics.enable": "false",
    # The last node to stop has no quorum left to hand its partitions to and would wait for minutes.
    "controlled.shutdown.enable": "false",
    # A killed broker's partitions get another leader after this, and not after the default of 9 s.
    "broker.session.timeout.ms": 6000,
    "broker.heartbeat.interval.ms": 1000,
    "group.initial.rebalance.delay.ms": 0,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "num.recovery.threads.per.data.dir": 2,
    "log.segment.bytes": 256 * 1024 * 1024,
}


def prepare(context: Context) -> None:
    """Write the nodes' configuration; format what has never been formatted."""
    context.write("log4j2-kafka.properties", properties(_LOG4J))
    formatting = []
    for node in (1, 2, 3):
        file = context.write(f"kafka-{node}.properties", properties(_configuration(context, node)))
        if not (_data(context, node) / "meta.properties").is_file():
            command = [*_java(context, heap="128m"), "kafka.tools.StorageTool", "format", "--config", str(file)]
            # One word: an id may begin with a hyphen.
            command += [f"--cluster-id={context.credentials.kafka_cluster}"]
            formatting.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
            )
    for process in formatting:
        output, _ = process.communicate()
        if process.returncode != 0:
            msg = f"Kafka could not format its storage: {output.strip().splitlines()[-1:]}"
            raise StackError(msg)


def services(context: Context) -> Iterator[Service]:
    """One service per node."""
    for node, (broker, controller) in enumerate(zip(context.ports.brokers, context.ports.controllers, strict=True), 1):
        file = context.layout.generated / f"kafka-{node}.properties"
        yield Service(
            name=f"kafka-{node}",
            command=[*_java(context, heap=_HEAP), "kafka.Kafka", str(file)],
            address=f"{HOST}:{broker.number}",
            ports=[broker, controller],
            answers=functools.partial(_answers, node, f"{HOST}:{broker.number}"),
            stop_seconds=15,
        )


def bootstrap_servers(context: Context) -> str:
    """All brokers, as clients want them."""
    return ",".join(f"{HOST}:{port.number}" for port in context.ports.brokers)


def _data(context: Context, node: int) -> Path:
    return context.layout.data / f"kafka-{node}"


def _java(context: Context, heap: str) -> list[str]:
    log4j = context.layout.generated / "log4j2-kafka.properties"
    return [
        context.java.program,
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        # No exit on an OutOfMemoryError: a batch too large to unpack fails by itself (docs/decisions/0020).
        "-XX:MaxGCPauseMillis=50",
        f"-Dlog4j2.configurationFile={log4j}",
        "-cp",
        f"{context.programs.kafka}/*",
    ]


def _configuration(context: Context, node: int) -> dict[str, object]:
    broker, controller = context.ports.brokers[node - 1], context.ports.controllers[node - 1]
    voters = ",".join(f"{other}@{HOST}:{port.number}" for other, port in enumerate(context.ports.controllers, 1))
    return {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{broker.number},CONTROLLER://{HOST}:{controller.number}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker.number}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": _data(context, node),
        **SETTINGS,
    }


def _answers(node: int, address: str) -> None:
    client = KafkaAdminClient(
        bootstrap_servers=address, request_timeout_ms=4000, bootstrap_timeout_ms=4000, client_id="citystream-stack"
    )
    try:
        known = {broker["broker_id"] for broker in client.describe_cluster()["brokers"]}
    finally:
        client.close()
    if node not in known:
        msg = f"broker {node} has not joined the cluster yet"
        raise StackError(msg)
