"""What the order generator sends per second, next to a bare kafka-python producer: `python -m bench.producer`.

Both run in turns in one process, over the same client settings and the same number of records; the bare one sends one
constant value of the generator's mean size under rising keys. A round lasts until the last acknowledgement. Beside the
rate stands the processor time per record, which other work on the machine disturbs less. The topic is created for the
run and deleted afterwards.
"""

import secrets
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from conf import settings
from conf.errors import Parser, command
from generators.brokers import PRODUCER_CONFIG, GeneratorError, wait_for_brokers
from generators.deliveries.orders import Plan
from generators.producing import Run, produce

PARTITIONS = 4
GOAL = 0.7


@dataclass
class Clock:
    """What the rounds of one contestant took."""

    rates: list[float] = field(default_factory=list)
    processor_us: list[float] = field(default_factory=list)
    _began: tuple[float, float] = (0, 0)

    def start(self) -> None:
        """A round begins."""
        self._began = time.perf_counter(), time.process_time()

    def stop(self, count: int) -> None:
        """It ends, with so many records acknowledged."""
        seconds, processor = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self.rates.append(count / seconds)
        self.processor_us.append(processor / count * 1e6)

    def line(self, name: str, reference: "Clock") -> str:
        """The medians as a line of the table."""
        rate, processor = statistics.median(self.rates), statistics.median(self.processor_us)
        ratio = rate / statistics.median(reference.rates)
        processor_ratio = statistics.median(reference.processor_us) / processor
        return (
            f"{name:24}{rate:>10,.0f}{min(self.rates):>10,.0f}{max(self.rates):>10,.0f}{ratio:>8.2f}"
            f"{processor:>12.1f}{processor_ratio:>8.2f}"
        )


def _client(servers: str, topic: str) -> KafkaProducer:
    """A connected producer, so that no round pays for connecting."""
    producer = KafkaProducer(bootstrap_servers=servers, **PRODUCER_CONFIG)
    producer.partitions_for(topic)
    return producer


def bare(clock: Clock, servers: str, topic: str, count: int, value: bytes) -> None:
    """A round of the constant value, without anything else."""
    producer = _client(servers, topic)
    clock.start()
    for number in range(count):
        producer.send(topic, value, b"D0123456789-0-%09d" % number)
    producer.flush()
    clock.stop(count)
    producer.close()


def generated(clock: Clock, servers: str, topic: str, count: int, plan: Plan) -> None:
    """A round of the generator at full speed."""
    producer = _client(servers, topic)
    run = Run(plan, servers, topic, count, manifest=None, deadline_seconds=60)
    clock.start()
    tally = produce(run, 0, producer, report=lambda _: None, must_stop=lambda: False)
    clock.stop(count)
    producer.close()
    if tally.produced != count:
        msg = f"sent {count} records, but {tally.produced} were acknowledged"
        raise GeneratorError(msg)


def made(clock: Clock, count: int, plan: Plan) -> None:
    """A round of the generator without Kafka."""
    clock.start()
    for _ in islice(plan.records(), count):
        pass
    clock.stop(count)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = Parser(
        prog="python -m bench.producer", description="Compare the order generator with a bare kafka-python producer."
    )
    parser.add_argument("--count", type=int, default=100_000, help="records per round (now %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turns (now %(default)s)")
    options = parser.parse_args(arguments)

    chosen = settings.load()
    servers = chosen.kafka.bootstrap_servers
    topic = f"bench.producer.{secrets.token_hex(4)}"
    plan = Plan(seed=1, start=datetime.now(UTC), malformed_share=0.01, late_share=0.02)
    sizes = [len(record.value or b"") for record in islice(plan.records(), 10_000)]
    value = b"x" * round(statistics.mean(sizes))

    wait_for_brokers(servers, chosen.deliveries.generator.deadline_seconds)
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, PARTITIONS, chosen.kafka.replication)])
    reference, contestant, alone = Clock(), Clock(), Clock()
    try:
        # The first round only warms up brokers and client.
        bare(Clock(), servers, topic, options.count, value)
        generated(Clock(), servers, topic, options.count, plan)
        for _ in range(options.rounds):
            bare(reference, servers, topic, options.count, value)
            generated(contestant, servers, topic, options.count, plan)
            made(alone, options.count, plan)
    finally:
        admin.delete_topics([topic])
        admin.close()

    print(
        f"{options.rounds} rounds of {options.count:,} records of {len(value)} bytes, one process, acks=all, idempotent"
    )
    print(f"{'medians':24}{'records/s':>10}{'least':>10}{'most':>10}{'ratio':>8}{'CPU us/rec':>12}{'ratio':>8}")
    print(reference.line("bare kafka-python", reference))
    print(contestant.line("generators.deliveries", reference))
    print(alone.line("generator without Kafka", reference))
    print(f"goal: generators.deliveries at {GOAL} of bare kafka-python or more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
