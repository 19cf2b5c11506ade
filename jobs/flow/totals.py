"""Running totals: duplicates dropped and partial sums formed in the JVM, folded in Python.

Python sees one partial sum per key and interval, whatever the event rate. The day is part of the key, so that late
events and backfill are simply added.
"""

from collections.abc import Iterator, Mapping, Sequence

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import to_jarray

from jobs.flow.streams import keyed_pairs
from jobs.rules.totals import NOTHING, Sums
from sinks.rows import columns

SUMS = Types.ROW_NAMED(["orders", "pay", "charge"], [Types.LONG(), Types.LONG(), Types.LONG()])
PARTIAL = Types.ROW_NAMED(["key", "sums"], [Types.STRING(), SUMS])
TOTAL = Types.ROW_NAMED(
    ["total", "day", "key", "orders", "pay", "charge"],
    [Types.STRING(), Types.STRING(), Types.STRING(), Types.LONG(), Types.LONG(), Types.LONG()],
)


def first_per_key(stream: DataStream, key: str, *, ttl_hours: float, name: str) -> DataStream:
    """Keep the first row of each key, remembered for `ttl_hours` after it came; count the `duplicates` dropped."""
    records = get_gateway().jvm.citystream.records
    j_stream = stream._j_data_stream
    first = records.FirstPerKey(int(ttl_hours * 3_600_000))
    j_keyed = records.RowDataStreams.keyBy(j_stream, columns(stream)[key])
    return DataStream(j_keyed.process(first, j_stream.getType()).name(f"{name}: first per {key}").uid(f"{name}.first"))


def combine(
    stream: DataStream,
    totals: Mapping[str, str | None],
    *,
    day: str,
    sums: Sequence[str],
    every_seconds: float,
    name: str,
) -> DataStream:
    """Partial sums, one per total, day, key and `every_seconds`.

    Args:
        stream: rows with a `day` DATE, string key columns and whole-number `sums` columns.
        totals: the key column of each total; None for a total per day alone. A row whose key is null is not part of
            that total.
        day: the column that holds the day.
        sums: the columns to add up.
        every_seconds: how long a partial sum is held in the JVM; never across a checkpoint.
        name: the start of the operator's name and uid.

    Returns:
        rows of type `PARTIAL`; their key is total, day and key, with `|` between them.
    """
    jvm = get_gateway().jvm
    at = columns(stream)
    keys = [-1 if column is None else at[column] for column in totals.values()]
    combiner = jvm.citystream.records.Combiner(
        int(every_seconds * 1000),
        at[day],
        to_jarray(jvm.String, list(totals)),
        to_jarray(jvm.int, keys),
        to_jarray(jvm.int, [at[column] for column in sums]),
    )
    j_stream = stream._j_data_stream.transform(f"{name}: combine", PARTIAL.get_java_type_info(), combiner)
    return DataStream(j_stream.uid(f"{name}.combine"))


class Fold(KeyedProcessFunction):
    """Adds each partial sum to the running total of its key, and sends the new total on.

    The state has a name, so that it is found again after a restart; a bare `reduce` would forget it.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the state."""
        self._sums: ValueState = runtime_context.get_state(
            ValueStateDescriptor("sums", Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG()]))
        )

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take a partial sum, give the running total."""
        sums = Sums(*(self._sums.value() or NOTHING)).plus(Sums(*value))
        self._sums.update(tuple(sums))
        # Totals and days hold no separator; what comes after the second is the key, whatever it holds.
        yield Row(*ctx.get_current_key().split("|", 2), *sums)


def fold(partials: DataStream, *, python_mode: str, name: str) -> DataStream:
    """Running totals from partial sums, per total, day and key."""
    totals = keyed_pairs(partials, SUMS).process(Fold(), output_type=TOTAL)
    # Each mode keeps Python's state in its own form, and takes the other's for none at all: with a uid for each, Flink
    # refuses such a savepoint.
    uid = f"{name}.fold" if python_mode == "process" else f"{name}.fold.{python_mode}"
    return totals.name(f"{name}: fold").uid(uid)
