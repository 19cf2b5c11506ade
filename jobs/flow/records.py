"""Records as they lie in a topic, decoded in Python: for streams of things that change seldom, not of events."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, OutputTag, ProcessFunction, RuntimeContext
from pyflink.table import StreamTableEnvironment

from jobs.flow.decode import Judged
from jobs.flow.streams import named, side, sql
from jobs.rules.fields import RejectedError

# Takes key, value and timestamp in ms.
Parse = Callable[[str | None, bytes | None, int], tuple[Any, ...]]
DEAD_LETTERS = OutputTag("dead-letters")
# In base64 it still fits the largest message that the dead-letter topics take.
MAX_RAW_BYTES = 2_900_000


def records(tables: StreamTableEnvironment, topic: str, *, brokers: str, group: str) -> DataStream:
    """All records of a topic, from the earliest on: rows of key, value, timestamp, topic, partition and offset."""
    tables.execute_sql(sql("records/source", topic=topic, bootstrap_servers=brokers, group=group))
    tables.get_config().set("table.exec.uid.format", f"{topic}.<type>.<transformation>")
    found = tables.to_data_stream(tables.sql_query(sql("records/records", topic=topic)))
    named(found._j_data_stream, topic)
    return found


def decode(stream: DataStream, parse: Parse, *, topic: str) -> Judged:
    """Parse each record's key and value.

    Returns:
        valid: pickled tuples of what `parse` gave (a plain tuple), the record's timestamp in ms, and its offset;
        dead_letters: what it refused, as JSON strings.
    """
    decoded = (
        stream.process(Decode(parse), output_type=Types.PICKLED_BYTE_ARRAY())
        .name(f"{topic}: decode")
        .uid(f"{topic}.decode")
    )
    return Judged(decoded, side(decoded, DEAD_LETTERS.tag_id, Types.STRING()))


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
        try:
            parsed = self._parse(key, None if body is None else bytes(body), at.to_epoch_milli())
        except RejectedError as error:
            self._count(error.reason)
            yield DEAD_LETTERS, dead_letter(error, topic, partition, offset, body)
        else:
            self._decoded.inc()
            yield tuple(parsed), at.to_epoch_milli(), offset

    def _count(self, reason: str) -> None:
        if reason not in self._dead_lettered:
            group = self._metrics.add_group("reason", reason)
            self._dead_lettered[reason] = group.counter("dead_lettered")
        self._dead_lettered[reason].inc()


def dead_letter(error: RejectedError, topic: str, partition: int, offset: int, body: bytes | None) -> str:
    """A record that can't be used, as the JSON object that the README describes."""
    detail = error.detail
    if body is not None and len(body) > MAX_RAW_BYTES:
        detail += f" (raw cut to its first {MAX_RAW_BYTES} of {len(body)} bytes)"
    return json.dumps(
        {
            "reason": error.reason,
            "detail": detail,
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "raw_base64": None if body is None else base64.b64encode(bytes(body)[:MAX_RAW_BYTES]).decode("ascii"),
            "seen_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )
