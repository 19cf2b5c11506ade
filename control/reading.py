"""Reading what is in topics: how many records, how many a job has still to read, and what dead letters say."""

import base64
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from conf.settings import Settings
from sinks.errors import NotReadyError
from sinks.kafka import dead_letter_topic

# So far behind its topic a job is still reading; what is nearer is looked at record by record.
NEAR = 1000
REJECTED = "document-rejected"


@dataclass(frozen=True)
class Spans:
    """Where the records of topics lie: the first offset and the one after the last, by partition."""

    begin: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]

    @property
    def taken(self) -> int:
        """How many offsets were ever given; transactions use up some of them without a record."""
        return sum(self.end.values())

    @property
    def deleted(self) -> int:
        """How many of them retention has taken away."""
        return sum(self.begin.values())


@contextlib.contextmanager
def _consumer(settings: Settings, group: str | None = None, *, bootstrap_seconds: int = 30) -> Iterator[KafkaConsumer]:
    servers = settings.kafka.bootstrap_servers
    try:
        with contextlib.closing(
            KafkaConsumer(
                bootstrap_servers=servers.split(","),
                group_id=group,
                bootstrap_timeout_ms=bootstrap_seconds * 1000,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=8 * 1024 * 1024,
                check_crcs=False,
                max_poll_records=10_000,
            )
        ) as consumer:
            yield consumer
    except KafkaError as error:
        message = f"Kafka at {servers} does not answer ({error}): start it (`make up`) or set KAFKA_BOOTSTRAP_SERVERS."
        raise NotReadyError(message) from error


def _partitions(consumer: KafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    there = consumer.topics()
    for topic in topics:
        if topic not in there:
            message = f"Kafka has no topic {topic}: run `make prepare`."
            raise NotReadyError(message)
    return [TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic)]


def spans(settings: Settings, topics: Iterable[str]) -> Spans:
    """Where the records of the topics lie.

    Raises:
        NotReadyError: a topic is missing, or no broker answers.
    """
    with _consumer(settings) as consumer:
        partitions = _partitions(consumer, topics)
        return Spans(consumer.beginning_offsets(partitions), consumer.end_offsets(partitions))


def deleted(settings: Settings, topics: Iterable[str]) -> int:
    """How many records of the topics retention has deleted.

    Raises:
        NotReadyError: as `spans` does.
    """
    return spans(settings, topics).deleted


def unread(settings: Settings, job: str, topics: Iterable[str]) -> int:
    """How many records the last completed checkpoint of a job does not contain.

    Flink commits, with each checkpoint, where its sources are. Far from the end, offsets are counted.

    Raises:
        NotReadyError: as `spans` does.
    """
    with _consumer(settings, group=f"citystream.{job}") as consumer:
        partitions = _partitions(consumer, topics)
        ends, begins = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
        at = {each: max(consumer.committed(each) or 0, begins[each]) for each in partitions}
        behind = sum(max(0, int(ends[each]) - int(at[each])) for each in partitions)
        if not 0 < behind <= NEAR:
            return behind
        left = [each for each in partitions if at[each] < ends[each]]
        consumer.assign(left)
        for each in left:
            consumer.seek(each, at[each])
        return _read(consumer, left, lambda _: None)


def _read(consumer: KafkaConsumer, partitions: list[TopicPartition], take: Callable[[Any], None]) -> int:
    """Take each record up to the present end; under read_committed none of an open or aborted transaction."""
    count = 0
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            count += len(records)
            for record in records:
                take(record)
    return count


def newest(settings: Settings, topics: Iterable[str], most: int) -> tuple[dict[str, int], list[Any]]:
    """How many records each of these topics holds, of those that are there, and the newest of all, newest first.

    Args:
        settings: the brokers.
        topics: their names.
        most: how many records.

    Raises:
        NotReadyError: no broker answers.
    """
    # Somebody waits for the answer.
    with _consumer(settings, bootstrap_seconds=5) as consumer:
        there = consumer.topics()
        partitions = _partitions(consumer, [topic for topic in topics if topic in there])
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        held = {topic: 0 for topic in topics if topic in there}
        for each in partitions:
            held[each.topic] += int(ends[each]) - int(begins[each])
        found: list[Any] = []
        consumer.assign(partitions)
        for each in partitions:
            consumer.seek(each, max(int(begins[each]), int(ends[each]) - most))
        _read(consumer, partitions, found.append)
        found.sort(key=lambda record: record.timestamp, reverse=True)
        return held, found[:most]


class Reader:
    """Reads whole topics, each record once over any number of calls, and keeps its place between them.

    Raises:
        NotReadyError: as `spans` does.
    """

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        with contextlib.ExitStack() as stack:
            self._consumer = stack.enter_context(_consumer(settings))
            self._partitions = _partitions(self._consumer, topics)
            self._consumer.assign(self._partitions)
            self._consumer.seek_to_beginning()
            self._stack = stack.pop_all()
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return bool(self._stack.__exit__(kind, error, trace))

    def read(self, take: Callable[[Any], None] = lambda _: None) -> int:
        """Hand every record that has come since the last call to `take`; return how many there were in all."""
        self.count += _read(self._consumer, self._partitions, take)
        return self.count


@dataclass
class Letters:
    """The dead letters of a stream. A letter that came again, after a restart or a fresh start, counts once.

    Attributes:
        reasons: how many records have each reason.
        rejected: documents that Elasticsearch refused, as far as their letters hold them, by the record they were made
            of; that record itself is valid.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    rejected: dict[tuple[str, int, int], dict[str, Any]] = field(default_factory=dict)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def take(self, record: Any) -> None:  # noqa: ANN401 - a ConsumerRecord
        """Count a record of a dead-letter topic."""
        letter = json.loads(record.value)
        place = letter["topic"], letter["partition"], letter["offset"]
        # Documents of totals are made of no single record.
        identity = (letter["reason"], *(place if None not in place else (record.partition, record.offset)))
        if identity in self._seen:
            return
        self._seen.add(identity)
        self.reasons[letter["reason"]] += 1
        if letter["reason"] == REJECTED and None not in place:
            self.rejected[place] = _document(letter["raw_base64"])

    @property
    def dead(self) -> int:
        """How many records are in no ledger."""
        return self.reasons.total() - self.reasons[REJECTED]


def _document(encoded: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(base64.b64decode(encoded))
    except ValueError:  # cut off, because it was too large for a letter
        return {}
    return document


def dead_letter_topics(topics: Iterable[str]) -> list[str]:
    """Where the dead letters of these topics are."""
    return [dead_letter_topic(topic) for topic in topics]
