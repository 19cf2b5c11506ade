"""What the order generator sends per second, next to a bare kafka-python producer: `python -m bench.producer`.

Both run in turns in one process, over the same client settings and the same number of records; the bare one sends one
constant value of the generator's mean size under rising keys. A round lasts until the last acknowledgement. The topic
is created for the run and deleted afterwards.
"""

import argparse
import secrets
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from conf import settings
from generators import orders
from generators.deliveries import PRODUCER_CONFIG, GeneratorError, Run, produce, wait_for_brokers
from generators.orders import Plan

PARTITIONS = 4
GOAL = 0.7


def _client(servers: str, topic: str) -> KafkaProducer:
    """A connected producer, so that no round pays for connecting."""
    producer = KafkaProducer(bootstrap_servers=servers, **PRODUCER_CONFIG)
    producer.partitions_for(topic)
    return producer


def bare(servers: str, topic: str, count: int, value: bytes) -> float:
    """Records per second of a constant value, without anything else."""
    producer = _client(servers, topic)
    began = time.perf_counter()
    for number in range(count):
        producer.send(topic, value, b"D0123456789-0-%09d" % number)
    producer.flush()
    seconds = time.perf_counter() - began
    producer.close()
    return count / seconds


def generated(servers: str, topic: str, count: int, plan: Plan) -> float:
    """Records per second of the generator at full speed."""
    producer = _client(servers, topic)
    run = Run(plan, servers, topic, count, manifest=None, deadline_seconds=60)
    began = time.perf_counter()
    tally = produce(run, 0, producer, report=lambda _: None, must_stop=lambda: False)
    seconds = time.perf_counter() - began
    producer.close()
    if tally.produced != count:
        msg = f"sent {count} records, but {tally.produced} were acknowledged"
        raise GeneratorError(msg)
    return count / seconds


def making(count: int, plan: Plan) -> float:
    """Records per second of the generator without Kafka."""
    began = time.perf_counter()
    for _ in islice(orders.stream(plan), count):
        pass
    return count / (time.perf_counter() - began)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.producer", description="Compare the order generator with a bare kafka-python producer."
    )
    parser.add_argument("--count", type=int, default=100_000, help="records per round (now %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turns (now %(default)s)")
    options = parser.parse_args(arguments)

    chosen = settings.load()
    servers = chosen.kafka.bootstrap_servers
    topic = f"bench.producer.{secrets.token_hex(4)}"
    plan = Plan(seed=1, start=datetime.now(UTC), malformed_share=0.01, late_share=0.02)
    orders.prepare()
    sizes = [len(record.value or b"") for record in islice(orders.stream(plan), 10_000)]
    value = b"x" * round(statistics.mean(sizes))

    try:
        wait_for_brokers(servers, chosen.generator.deadline_seconds)
    except GeneratorError as error:
        print(f"bench.producer: {error}", file=sys.stderr)
        return 1
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, PARTITIONS, chosen.kafka.replication)])
    try:
        rates: dict[str, list[float]] = {"bare kafka-python": [], "generators.deliveries": []}
        for number in range(options.rounds + 1):
            found = bare(servers, topic, options.count, value), generated(servers, topic, options.count, plan)
            if number:  # the first round warms up brokers and client
                for measured, rate in zip(rates.values(), found, strict=True):
                    measured.append(rate)
    finally:
        admin.delete_topics([topic])
        admin.close()

    reference = statistics.median(rates["bare kafka-python"])
    print(
        f"{options.rounds} rounds of {options.count:,} records of {len(value)} bytes, one process, acks=all, idempotent"
    )
    print(f"{'':24}{'records/s':>12}{'least':>10}{'most':>10}{'ratio':>8}")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name:24}{rate:>12,.0f}{min(measured):>10,.0f}{max(measured):>10,.0f}{rate / reference:>8.2f}")
    alone = making(options.count, plan)
    print(f"{'generator without Kafka':24}{alone:>12,.0f}{'':20}{alone / reference:>8.2f}")
    print(f"goal: generators.deliveries at {GOAL} of bare kafka-python or more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
