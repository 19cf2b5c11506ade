"""Windows that gather what comes of a key within a moment, so that it is applied at once and not one by one.

A backfill of weather then spreads a month again once, not once per day. The windows are of processing time: nothing is
ever late for them, a correction is just what came last.
"""

from typing import Any

from pyflink.common import Time, Types
from pyflink.datastream import AggregateFunction, DataStream
from pyflink.datastream.window import TumblingProcessingTimeWindows

from jobs.flow.datastreams import keyed, timers_in_checkpoints
from jobs.rules import newest

Batch = tuple[str, dict[str, tuple[Any, ...]]]


def gather(stream: DataStream, *, seconds: float, name: str) -> DataStream:
    """The newest of each thing, per key and so many seconds.

    Args:
        stream: pickled tuples of a key, a thing's name within it, and a `Seen` as a plain tuple.
        seconds: how long a record is held at most.
        name: the operator's name and uid.

    Returns:
        pickled tuples of the key and what came, by name.
    """
    windows = (
        keyed(stream, lambda record: record[0], name=name)
        .window(TumblingProcessingTimeWindows.of(Time.milliseconds(int(seconds * 1000))))
        .aggregate(Newest(), accumulator_type=Types.PICKLED_BYTE_ARRAY(), output_type=Types.PICKLED_BYTE_ARRAY())
        .name(name.replace(".", ": ", 1))
        .uid(name)
    )
    return timers_in_checkpoints(windows, name=name)


class Newest(AggregateFunction):
    """Keeps the newest of each thing of a key."""

    def create_accumulator(self) -> Batch:
        """Nothing yet."""
        return "", {}

    def add(self, value: tuple[str, str, tuple[Any, ...]], accumulator: Batch) -> Batch:
        """One more record; what is gathered is changed in place, since a copy each would be quadratic in a window."""
        key, name, seen = value
        newest.gather(accumulator[1], name, seen)
        return key, accumulator[1]

    def get_result(self, accumulator: Batch) -> Batch:
        """What came."""
        return accumulator

    def merge(self, a: Batch, b: Batch) -> Batch:
        """Both together; windows of fixed size never ask for it."""
        for name, seen in b[1].items():
            newest.gather(a[1], name, seen)
        return a[0] or b[0], a[1]
