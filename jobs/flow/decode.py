"""Decode once: what keeps the rules goes on, everything else becomes a dead letter with its reason.

Streams of events are decoded in the JVM (`part`); records of things that change seldom, in Python (`decode`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, OutputTag, ProcessFunction, RuntimeContext
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from conf.settings import load
from jobs.flow.datastreams import python_rows, side, sql
from jobs.rules.fields import RejectedError
from sinks.rows import columns

# Takes key, value and timestamp in ms.
Parse = Callable[[str | None, bytes | None, int], tuple[Any, ...]]
DEAD_LETTERS = OutputTag("dead-letters")
# As citystream.records.DeadLetter has it, which makes the letter of it.
DEAD_LETTER = Types.ROW_NAMED(
    ["reason", "detail", "topic", "partition", "offset", "raw"],
    [Types.STRING(), Types.STRING(), Types.STRING(), Types.INT(), Types.LONG(), Types.PRIMITIVE_ARRAY(Types.BYTE())],
)


class Judged(NamedTuple):
    """What came in, parted: what keeps the rules, and dead letters as rows of `DEAD_LETTER`."""

    valid: DataStream
    dead_letters: DataStream


def source(
    tables: StreamTableEnvironment,
    query: str,
    *,
    topic: str,
    brokers: str,
    group: str,
    bounded: str = "unbounded",
    **values: str,
) -> None:
    """Register the table of sql/flink/<query>.sql over a topic; `bounded="latest-offset"` ends where it ends now.

    `values` are for placeholders of its own.
    """
    kafka = sql("records/kafka", topic=topic, bootstrap_servers=brokers, group=group, bounded=bounded, start=_start())
    tables.execute_sql(sql(query, topic=topic, kafka=kafka, **values))


def _start() -> str:
    """Where a source without state begins: for all jobs in one place, so that none is left out of a backfill."""
    offsets = load().flink.read_from
    if offsets == "earliest":
        return "'scan.startup.mode' = 'earliest-offset'"
    return f"'scan.startup.mode' = 'specific-offsets', 'scan.startup.specific-offsets' = '{offsets}'"


def part(judged: DataStream, *, time: str, late_after_seconds: float, name: str) -> Judged:
    """Part rows with an `error` from those without.

    Counts `decoded`, `dead_lettered` by reason, and `late`: rows whose `time` column is more than
    `late_after_seconds` ago. A late row is valid and goes on.
    """
    at = columns(judged)
    records = get_gateway().jvm.citystream.records
    gate = records.DeadLetterGate(
        *(at[column] for column in ("error", "raw", "topic", "partition", "offset", time)),
        int(late_after_seconds * 1000),
    )
    j_stream = judged._j_data_stream
    j_valid = j_stream.process(gate, j_stream.getType()).name(f"{name}: part").uid(f"{name}.part")
    return Judged(DataStream(j_valid), DataStream(records.RowDataStreams.deadLetters(j_valid)))


def records(tables: StreamTableEnvironment, topic: str, *, brokers: str, group: str) -> DataStream:
    """All records of a topic, from the earliest on: rows of key, value, timestamp, topic, partition and offset."""
    source(tables, "records/source", topic=topic, brokers=brokers, group=group)
    return python_rows(tables, "records/records", name=topic, topic=topic)


def newer_per_key(stream: DataStream, key: str, time: str, *, ttl_days: float, name: str) -> DataStream:
    """Drop rows that are not newer than those of their key before them, in the JVM; count them as `unchanged`.

    Args:
        stream: rows. Those whose time is null all go on.
        key: a STRING column; rows of a key keep their order.
        time: a TIMESTAMP_LTZ(3) column.
        ttl_days: how long the newest time of a key is remembered; what comes again later goes on once.
        name: the start of the operator's name and uid.
    """
    records, at = get_gateway().jvm.citystream.records, columns(stream)
    newer = records.NewerPerKey(at[time], int(ttl_days * 86_400_000))
    j_stream = stream._j_data_stream
    j_newer = records.RowDataStreams.keyBy(j_stream, at[key]).process(newer, j_stream.getType())
    return DataStream(j_newer.name(f"{name}: newer per {key}").uid(f"{name}.newer"))


def decode(stream: DataStream, parse: Parse, *, topic: str) -> Judged:
    """Parse each record's key and value.

    Returns:
        valid: pickled tuples of what `parse` gave (a plain tuple), the record's timestamp in ms, and its offset;
        dead_letters: what it refused.
    """
    decoded = (
        stream.process(Decode(parse), output_type=Types.PICKLED_BYTE_ARRAY())
        .name(f"{topic}: decode")
        .uid(f"{topic}.decode")
    )
    return Judged(decoded, side(decoded, DEAD_LETTERS.tag_id, DEAD_LETTER))


class Decode(ProcessFunction):
    """Parts records that keep the rules from those that become dead letters; counts `decoded` and `dead_lettered`."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the counters."""
        self._metrics = runtime_context.get_metrics_group().add_group("citystream")
        self._decoded = self._metrics.counter("decoded")
        self._dead_lettered: dict[str, Any] = {}

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[tuple[Any, ...]]:
        """Take a record, give what it says, or a dead letter."""
        key, body, at, topic, partition, offset = value
        raw = None if body is None else bytes(body)
        try:
            parsed = self._parse(key, raw, at.to_epoch_milli())
        except RejectedError as error:
            self._count(error.reason)
            # A lone surrogate, which a JSON escape can write, is no text that goes to the JVM.
            detail = error.detail.encode("utf-8", "replace").decode("utf-8")
            yield DEAD_LETTERS, Row(error.reason, detail, topic, partition, offset, raw)
        else:
            self._decoded.inc()
            yield tuple(parsed), at.to_epoch_milli(), offset

    def _count(self, reason: str) -> None:
        if reason not in self._dead_lettered:
            group = self._metrics.add_group("reason", reason)
            self._dead_lettered[reason] = group.counter("dead_lettered")
        self._dead_lettered[reason].inc()
