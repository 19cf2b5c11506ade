"""Reading what is in topics: how many records, how many a job has still to read, and what dead letters say."""

import base64
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import GroupIdNotFoundError, KafkaError

from conf.settings import Settings
from sinks import kafka
from sinks.errors import NotReadyError
from sinks.kafka import dead_letter_topic

# So far behind its topic a job is still reading; what is nearer is looked at record by record.
NEAR = 1000
# So often a record that should be there is asked for.
_LOOKS = 20
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
def _consumer(
    settings: Settings,
    group: str | None = None,
    *,
    bootstrap_seconds: int = 30,
    max_partition_fetch_bytes: int = 8 * 1024 * 1024,
) -> Iterator[KafkaConsumer]:
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
                max_partition_fetch_bytes=max_partition_fetch_bytes,
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


def group(job: str) -> str:
    """The consumer group of a job."""
    return f"citystream.{job}"


def forget(settings: Settings, job: str) -> None:
    """Forget how far the job's sources were with its last checkpoint; the job does not run, and does not go by it.

    Raises:
        NotReadyError: no broker answers, or somebody reads as this group.
    """
    with contextlib.closing(kafka.admin(settings)) as admin:
        answer = admin.delete_groups([group(job)])[group(job)]
    if answer not in ("OK", GroupIdNotFoundError.__name__):
        message = f"Kafka keeps the offsets of {group(job)} ({answer}): end whoever else reads as that group."
        raise NotReadyError(message)


def from_time(settings: Settings, topic: str, at: datetime) -> dict[TopicPartition, int]:
    """The offset of the first record written at that time or later, by partition; the end where there is none.

    Raises:
        NotReadyError: as `spans` does.
    """
    with _consumer(settings) as consumer:
        partitions = _partitions(consumer, [topic])
        found = consumer.offsets_for_times(dict.fromkeys(partitions, int(at.timestamp() * 1000)))
        ends = consumer.end_offsets(partitions)
        return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}


def unread(
    settings: Settings, job: str, topics: Iterable[str], until: Mapping[TopicPartition, int] | None = None
) -> int:
    """How many records, up to the present ends or those in `until`, the last completed checkpoint does not contain.

    Flink commits, with each checkpoint, where its sources are. Far from the end, offsets are counted.

    Raises:
        NotReadyError: as `spans` does.
    """
    with _consumer(settings, group=group(job)) as consumer:
        partitions = _partitions(consumer, topics)
        ends, begins = until or consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
        at = {each: max(consumer.committed(each) or 0, begins[each]) for each in partitions}
        behind = sum(max(0, int(ends[each]) - int(at[each])) for each in partitions)
        if not 0 < behind <= NEAR:
            return behind
        left = [each for each in partitions if at[each] < ends[each]]
        consumer.assign(left)
        for each in left:
            consumer.seek(each, at[each])
        found: list[bool] = []
        _read(consumer, left, lambda record: found.append(record.offset < ends[record.topic, record.partition]))
        return sum(found)


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


class Places:
    """Finds single records of a topic.

    Raises:
        NotReadyError: as `spans` does.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        with contextlib.ExitStack() as stack:
            # One batch at a time: what follows is not wanted.
            self._consumer = stack.enter_context(_consumer(settings, max_partition_fetch_bytes=1))
            partitions = _partitions(self._consumer, [topic])
            self._begin = self._consumer.beginning_offsets(partitions)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return bool(self._stack.__exit__(kind, error, trace))

    def key(self, partition: int, offset: int) -> bytes | None:
        """A record's key; None where it has none, or is no longer there."""
        at = TopicPartition(self._topic, partition)
        if offset < self._begin.get(at, offset + 1):
            return None
        self._consumer.assign([at])
        self._consumer.seek(at, offset)
        for _ in range(_LOOKS):
            for record in self._consumer.poll(timeout_ms=500, max_records=1).get(at, ()):
                key: bytes | None = record.key
                return key if record.offset == offset else None
        return None


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
