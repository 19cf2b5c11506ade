"""Running totals: duplicates dropped and partial sums formed in the JVM, folded in Python.

Python sees one partial sum per key and interval, whatever the event rate. The bucket (a day, a minute) is part of the
key, so that late events and backfill are simply added.
"""

from collections.abc import Iterator, Mapping, Sequence

from pyflink.common import Row, TypeInformation, Types
from pyflink.datastream import DataStream, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment
from pyflink.util.java_utils import to_jarray

from conf.streams import Ledger, Total
from jobs.flow.datastreams import bundles_finished, keyed_pairs, rows
from jobs.rules.totals import plus
from sinks.rows import columns

# Of each bucket: how it is made of the ledger's time, and how it is read from the text that the combiner makes of it.
BUCKETS = {
    "day": ("CAST({time} AS DATE)", "CAST(`bucket` AS DATE)"),
    "minute": ("FLOOR({time} TO MINUTE)", "TO_TIMESTAMP_LTZ(CAST(`bucket` AS BIGINT), 3)"),
}
# How many records a total has folded: sums may fall, this only grows, so it is the version.
RECORDS = "records"


def counted(
    tables: StreamTableEnvironment,
    facts: str,
    ledger: Ledger,
    totals: Sequence[Total],
    *,
    name: str,
    more: Mapping[str, str] | None = None,
) -> DataStream:
    """What totals need of each row of the view `facts`, which has the ledger's columns: id, buckets, keys and sums.

    And `more`: columns and their expressions.
    """
    # In quotes: a column may have a name that is a word of SQL.
    *others, last = (f"`{column}`" for column in ledger.key)
    # With the length of all but the last, no two keys have the same id.
    parts = [part for column in others for part in (f"CAST(CHAR_LENGTH({column}) AS STRING)", column)]
    selected = {"id": f"CONCAT_WS('|', {', '.join([*parts, last])})" if others else last}
    selected |= {total.bucket: BUCKETS[total.bucket][0].format(time=f"`{ledger.time}`") for total in totals}
    selected |= {total.key: f"`{total.key}`" for total in totals if total.key}
    selected |= ledger.sums
    selected |= more or {}
    listed = ", ".join(f"{expression} AS `{column}`" for column, expression in selected.items())
    return rows(tables, "counted", name=f"{name}/counted", columns=listed, facts=facts)


def first_per_key(stream: DataStream, key: str, *, ttl_hours: float, name: str) -> DataStream:
    """Keep the first row of each key, remembered for `ttl_hours` after it came; count the `duplicates` dropped."""
    records = get_gateway().jvm.citystream.records
    j_stream = stream._j_data_stream
    first = records.FirstPerKey(int(ttl_hours * 3_600_000))
    j_keyed = records.RowDataStreams.keyBy(j_stream, columns(stream)[key])
    return DataStream(j_keyed.process(first, j_stream.getType()).name(f"{name}: first per {key}").uid(f"{name}.first"))


def combine(
    stream: DataStream, totals: Sequence[Total], sums: Sequence[str], *, every_seconds: float, name: str
) -> DataStream:
    """Partial sums, one per total, bucket, key and `every_seconds`.

    Args:
        stream: rows as of `counted`. A row whose key is null is not part of that total.
        totals: what to sum up.
        sums: the whole-number columns to add up.
        every_seconds: how long a partial sum is held in the JVM; never across a checkpoint.
        name: the start of the operator's name and uid.

    Returns:
        rows of a text key (total, bucket and key, with `|` between them) and of how many records and which sums.
    """
    jvm = get_gateway().jvm
    at = columns(stream)
    combiner = jvm.citystream.records.Combiner(
        int(every_seconds * 1000),
        to_jarray(jvm.String, [total.table for total in totals]),
        to_jarray(jvm.int, [at[total.bucket] for total in totals]),
        to_jarray(jvm.int, [at[total.key] if total.key else -1 for total in totals]),
        to_jarray(jvm.int, [at[column] for column in sums]),
    )
    partial = Types.ROW_NAMED(["key", "sums"], [Types.STRING(), _sums(sums)])
    j_stream = stream._j_data_stream.transform(f"{name}: combine", partial.get_java_type_info(), combiner)
    return DataStream(j_stream.uid(f"{name}.combine"))


class Fold(KeyedProcessFunction):
    """Adds each partial sum to the running total of its key, and sends the new total on.

    The state has a name, so that it is found again after a restart; a bare `reduce` would forget it.
    """

    def __init__(self, sums: int) -> None:
        """A fold of so many sums, the number of records among them."""
        self._nothing = (0,) * sums

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the state."""
        self._sums: ValueState = runtime_context.get_state(
            ValueStateDescriptor("sums", Types.TUPLE([Types.LONG() for _ in self._nothing]))
        )

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take a partial sum, give the running total."""
        sums = plus(self._sums.value() or self._nothing, tuple(value))
        self._sums.update(sums)
        # Totals and buckets hold no separator; what comes after the second is the key, whatever it holds.
        yield Row(*ctx.get_current_key().split("|", 2), *sums)


def fold(partials: DataStream, sums: Sequence[str], *, python_mode: str, name: str) -> DataStream:
    """Running totals from partial sums: rows of total, bucket, key, how many records, and the sums."""
    folded = _sums(sums)
    output = Types.ROW_NAMED(
        ["total", "bucket", "key", *folded.get_field_names()],
        [*(Types.STRING() for _ in range(3)), *folded.get_field_types()],
    )
    totals = keyed_pairs(partials, folded).process(Fold(1 + len(sums)), output_type=output)
    # Each mode keeps Python's state in its own form, and takes the other's for none at all: with a uid for each, Flink
    # refuses such a savepoint.
    uid = f"{name}.fold" if python_mode == "process" else f"{name}.fold.{python_mode}"
    return bundles_finished(totals.name(f"{name}: fold").uid(uid), name=uid)


def of_total(tables: StreamTableEnvironment, total: Total, sums: Sequence[str], *, name: str) -> DataStream:
    """The rows of one total's table, from the view `totals` of all that is folded."""
    selected = [f"{BUCKETS[total.bucket][1]} AS `{total.bucket}`", *([f"`key` AS `{total.key}`"] if total.key else [])]
    listed = ", ".join([*selected, *(f"`{column}`" for column in sums)])
    return rows(tables, "total", name=f"{name}/{total.table}", columns=listed, total=total.table)


def documents_of_total(tables: StreamTableEnvironment, total: Total, sums: DataStream, *, name: str) -> DataStream:
    """The rows of a total as documents: the id is its bucket and key."""
    tables.create_temporary_view(total.table, sums)
    parts = ", ".join(f"CAST(`{column}` AS STRING)" for column in total.columns)
    named = f"{name}/{total.table}_document"
    return rows(tables, "total_document", name=named, id=f"CONCAT_WS('|', {parts})", total=total.table)


def _sums(sums: Sequence[str]) -> TypeInformation:
    return Types.ROW_NAMED([RECORDS, *sums], [Types.LONG() for _ in (RECORDS, *sums)])
