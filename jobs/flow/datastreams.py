"""Between Flink SQL and DataStreams: queries from sql/flink, and streams of rows that stay in the JVM.

A stream of rows here is a `DataStream` of the table runtime's own binary rows (`RowData`): it passes from SQL to an
operator and back without a conversion, and Python never sees it.
"""

from collections.abc import Callable
from string import Template
from typing import Any

from pyflink.common import TypeInformation, Types
from pyflink.datastream import DataStream, KeyedStream, OutputTag
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from conf.settings import ROOT

# What the operators of a query do, by the last part of their uids.
STEPS = {"calc": "select", "correlate": "unnest", "constraint-validator": "not null", "external-datastream": "rows"}


def sql(name: str, **values: str) -> str:
    """The text of sql/flink/<name>.sql with its `${...}` filled in.

    Raises:
        KeyError: a placeholder has no value.
    """
    path = ROOT / "sql" / "flink" / f"{name}.sql"
    return Template(path.read_text(encoding="utf-8")).substitute(values)


def rows(table_env: StreamTableEnvironment, query: str, name: str | None = None, **values: str) -> DataStream:
    """The rows of the query sql/flink/<query>.sql as a stream.

    Args:
        table_env: where the tables that the query names are registered.
        query: the file's name, without its ending.
        name: what the uids of the query's operators start with; the query's name unless it is used twice.
        values: for its placeholders.
    """
    table_env.get_config().set("table.exec.uid.format", f"{name or query}.<type>.<transformation>")
    j_table = table_env.sql_query(sql(query, **values))._j_table
    jvm = get_gateway().jvm
    row_data = jvm.java.lang.Class.forName("org.apache.flink.table.data.RowData")
    j_type = j_table.getResolvedSchema().toPhysicalRowDataType().notNull().bridgedTo(row_data)
    j_stream = table_env._j_tenv.toDataStream(j_table, j_type)
    # The rows are the runtime's own; its serializer needs no conversion, unlike the one for external types.
    internal = jvm.org.apache.flink.table.runtime.typeutils.InternalTypeInfo.of(j_type.getLogicalType())
    j_stream.getTransformation().setOutputType(internal)
    named(j_stream, name or query)
    return DataStream(j_stream)


def python_rows(
    table_env: StreamTableEnvironment,
    query: str,
    name: str | None = None,
    *,
    of: TypeInformation | None = None,
    **values: str,
) -> DataStream:
    """As `rows`, but rows that Python can read; `of` is their type, for what takes no type of a table."""
    table_env.get_config().set("table.exec.uid.format", f"{name or query}.<type>.<transformation>")
    found = table_env.to_data_stream(table_env.sql_query(sql(query, **values)))
    if of is not None:
        found._j_data_stream.getTransformation().setOutputType(of.get_java_type_info())
    named(found._j_data_stream, name or query)
    return found


def sql_pairs(table_env: StreamTableEnvironment, query: str, value_type: TypeInformation, **values: str) -> KeyedStream:
    """What a query gives of a text and a ROW of `value_type`, keyed by the text: see `keyed_pairs`."""
    pair = Types.ROW_NAMED(["key", "value"], [Types.STRING(), value_type])
    return keyed_pairs(python_rows(table_env, query, of=pair, **values), value_type)


def watermarked(table_env: StreamTableEnvironment, name: str, stream: DataStream, time: str) -> None:
    """Register rows as a view that lets the stream's watermarks pass; as any other view they end there.

    Args:
        table_env: where the view is registered.
        name: the view's.
        stream: rows.
        time: the TIMESTAMP_LTZ(3) column that the watermarks are of. As what a query gives, it has to be cast.
    """
    table_env.create_temporary_view(name, stream, Schema.new_builder().watermark(time, "SOURCE_WATERMARK()").build())


def mapped(
    stream: DataStream, function: Callable[[Any], Any], output_type: TypeInformation, *, name: str
) -> DataStream:
    """A `map` with a name and uid."""
    return stream.map(function, output_type=output_type).name(name.replace(".", ": ", 1)).uid(name)


def named(j_stream: Any, name: str) -> None:  # noqa: ANN401 - a py4j object
    """Give the operators of a query the names that people know it by, instead of the planner's, such as `Calc[14]`."""
    found = [j_stream.getTransformation()]
    while found:
        transformation = found.pop()
        if not (uid := transformation.getUid() or "").startswith(f"{name}."):
            continue  # of another query, whose rows this one takes
        step = uid.rsplit(".", 1)[1]
        read = transformation.getName().split("[")[0]
        transformation.setName(read if step == "source" else f"{name.replace('/', ': ')}: {STEPS.get(step, step)}")
        found.extend(transformation.getInputs())


def keyed(stream: DataStream, key: Callable[[Any], str], *, name: str) -> KeyedStream:
    """`key_by`, with a name and uid for the operator that PyFlink puts before the shuffle."""
    by_key = stream.key_by(key, key_type=Types.STRING())
    before = by_key._j_data_stream.getTransformation().getInputs().get(0)
    before.setUid(f"{name}.key")
    before.setName(f"{name.replace('.', ': ', 1)}: key")
    return by_key


def keyed_pairs(pairs: DataStream, value_type: TypeInformation) -> KeyedStream:
    """Rows of a text key and a value that the JVM made, keyed there; a keyed Python function gets the values.

    `key_by` with a Python function would put a Python process of its own before the shuffle, at each parallel instance.
    """
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    j_keyed = pairs._j_data_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), key_type)
    return KeyedStream(j_keyed, value_type, pairs)


def throttled(pairs: KeyedStream, keys_per_second: float, ttl_days: float, *, name: str) -> KeyedStream:
    """Keyed pairs, so many new keys of them per second; what may not pass yet waits in the JVM.

    Args:
        pairs: of a text key and a value, as `keyed_pairs` gives them.
        keys_per_second: over all subtasks. A key that has passed holds none of its rows back any more.
        ttl_days: how long it is known that a key has passed.
        name: the operator's.
    """
    jvm, j_keyed = get_gateway().jvm, pairs._j_data_stream
    j_type = j_keyed.getType()
    j_throttle = jvm.citystream.records.Throttle(float(keys_per_second), int(ttl_days * 86_400_000), j_type)
    j_passed = j_keyed.process(j_throttle, j_type).name(f"{name.replace('.', ': ', 1)}: throttle")
    # A task of its own: it takes rows in while Python is busy.
    j_passed = j_passed.uid(f"{name}.throttle").disableChaining()
    j_again = jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils.reinterpretAsKeyedStream(
        j_passed, jvm.KeyByKeySelector(), j_keyed.getKeyType()
    )
    return KeyedStream(j_again, pairs._original_data_type_info, DataStream(j_passed))


def side(stream: DataStream, tag: str, output_type: TypeInformation) -> DataStream:
    """A side output, as it is; PyFlink's own method sends it through Python once more, without a uid."""
    return DataStream(stream._j_data_stream.getSideOutput(OutputTag(tag, output_type).get_java_output_tag()))


def timers_in_checkpoints(stream: DataStream, *, name: str) -> DataStream:
    """The stream, with the timers of the Python operator that it comes from in every checkpoint.

    PyFlink alone registers them a moment too late, and a window restored without its timer never fires
    (docs/decisions/0015). A test holds every Python operator with timers or windows to it.
    """
    return _behind(stream, get_gateway().jvm.citystream.records.PythonTimers(), name, "timers")


def bundles_finished(stream: DataStream, *, name: str) -> DataStream:
    """The stream, with what the Python operator that it comes from has begun finished before its state is closed.

    A bundle that goes on with RocksDB closed ends the whole TaskManager. A test of the job graph holds every Python
    operator with keyed state to this, or to `timers_in_checkpoints`, which sees to it, too.
    """
    return _behind(stream, get_gateway().jvm.citystream.records.PythonBundles(), name, "bundles")


def _behind(stream: DataStream, operator: Any, name: str, what: str) -> DataStream:  # noqa: ANN401 - a py4j object
    j_stream = stream._j_data_stream
    j_behind = j_stream.transform(f"{name.replace('.', ': ', 1)}: {what}", j_stream.getType(), operator)
    return DataStream(j_behind.uid(f"{name}.{what}"))
