"""Decode once, in the JVM: valid rows go on, everything else becomes a dead letter with its reason."""

from typing import NamedTuple

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway

from sinks.rows import columns


class Judged(NamedTuple):
    """What came in, parted: rows that keep the rules, and dead letters as JSON strings."""

    valid: DataStream
    dead_letters: DataStream


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
