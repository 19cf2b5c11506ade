"""Windows of event time, declared here and run in the JVM: Python sees none of their rows."""

from collections.abc import Sequence

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import to_jarray

from conf.streams import Total
from jobs.flow.decode import Judged
from sinks.rows import columns

LENGTHS = {"day": 86_400, "minute": 60}


def in_windows(
    stream: DataStream,
    total: Total,
    sums: Sequence[str],
    *,
    time: str,
    every_seconds: float,
    lateness_seconds: float,
    name: str,
) -> Judged:
    """Sums per key and window of `total.bucket`.

    Args:
        stream: rows whose watermarks come from their source.
        total: what to sum up per; it has a key. Days are those of UTC.
        sums: BIGINT columns.
        time: the TIMESTAMP_LTZ(3) column with a row's time.
        every_seconds: a window that has changed is shown after this time, whether or not it is over.
        lateness_seconds: how long a window is kept after its end.
        name: the start of the operators' names and uids.

    Returns:
        valid: rows of key, the window's start, sums, and as `version` how many rows are in them;
        dead_letters: the rows whose window was no longer kept, as they came.

    Raises:
        KeyError: there is no such column.
    """
    jvm = get_gateway().jvm
    records, at = jvm.citystream.records, columns(stream)
    duration = jvm.java.time.Duration
    j_stream, j_type = stream._j_data_stream, stream._j_data_stream.getType()
    j_timed = j_stream.transform(f"{name}: times", j_type, records.EventTimestamps(at[time])).uid(f"{name}.times")
    tag = jvm.org.apache.flink.util.OutputTag(f"{name}.late", j_type)
    assigner = jvm.org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows
    longs = jvm.org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO
    j_keyed = records.RowDataStreams.keyBy(j_timed, at[str(total.key)])
    j_sums = (
        j_keyed.window(assigner.of(duration.ofSeconds(LENGTHS[total.bucket])))
        .trigger(records.FiringTrigger(int(every_seconds * 1000)))
        .allowedLateness(duration.ofMillis(int(lateness_seconds * 1000)))
        .sideOutputLateData(tag)
        .aggregate(
            records.WindowSums(to_jarray(jvm.int, [at[column] for column in sums])),
            records.WindowSums.AsRow(),
            longs,
            records.WindowSums.AsRow.type(total.key, total.bucket, to_jarray(jvm.String, list(sums))),
        )
        .name(f"{name}: {total.table}")
        .uid(f"{name}.{total.table}")
    )
    return Judged(DataStream(j_sums), DataStream(j_sums.getSideOutput(tag)))
