package citystream.records;

import static org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.util.OutputTag;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // the results may be interrupted in close()
class WindowSumsTest {
    private static final InternalTypeInfo<RowData> ROWS = InternalTypeInfo.ofFields(
            VarCharType.STRING_TYPE, new LocalZonedTimestampType(3), new BigIntType());

    private static RowData row(String key, long at, long sum) {
        return GenericRowData.of(StringData.fromString(key), TimestampData.fromEpochMillis(at), sum);
    }

    @Test
    void rowsAreAddedToTheirMinuteAndWhatIsTooLateLeaves() throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment().setParallelism(1);
        env.getConfig().enableObjectReuse();
        DataStream<RowData> rows = env.fromData(
                        ROWS,
                        row("a", 1_000, 5),
                        row("a", 59_999, 7),
                        row("b", 2_000, 1),
                        row("a", 130_000, 3), // the watermark is past the first minute
                        row("a", 3_000, -4), // late, and allowed
                        row("a", 1_000_000, 1),
                        row("b", 4_000, 9)) // later still
                // A watermark after each row, as the Kafka source would send it now and then.
                .assignTimestampsAndWatermarks(WatermarkStrategy.<RowData>forGenerator(
                                context -> new WatermarkGenerator<RowData>() {
                                    @Override
                                    public void onEvent(
                                            RowData event,
                                            long timestamp,
                                            WatermarkOutput output) {
                                        output.emitWatermark(
                                                new Watermark(timestamp));
                                    }

                                    @Override
                                    public void onPeriodicEmit(
                                            WatermarkOutput output) {}
                                })
                        .withTimestampAssigner((row, at) -> row.getTimestamp(1, 3).getMillisecond()));
        OutputTag<RowData> late = new OutputTag<>("late", ROWS);
        SingleOutputStreamOperator<RowData> sums = rows.transform("times", ROWS, new EventTimestamps(1))
                .keyBy(new FieldKey(0), FieldKey.TYPE)
                .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
                .allowedLateness(Duration.ofMinutes(2))
                .sideOutputLateData(late)
                .aggregate(
                        new WindowSums(new int[] {2}),
                        new WindowSums.AsRow(),
                        LONG_PRIMITIVE_ARRAY_TYPE_INFO,
                        WindowSums.AsRow.type("key", "minute", new String[] {"sum"}));
        List<String> windows = new ArrayList<>();
        List<String> tooLate = new ArrayList<>();
        DataStream<String> all = sums.map(row -> "sum " + row.getString(0) + " "
                        + row.getTimestamp(1, 3).getMillisecond() + " " + row.getLong(2) + " " + row.getLong(3))
                .union(sums.getSideOutput(late).map(row -> "late " + row.getString(0) + " " + row.getLong(2)));
        try (var results = all.executeAndCollect()) {
            results.forEachRemaining(line -> (line.startsWith("late") ? tooLate : windows).add(line));
        }
        assertThat(windows)
                .containsExactlyInAnyOrder(
                        "sum a 0 12 2", "sum b 0 1 1", "sum a 0 8 3", "sum a 120000 3 1", "sum a 960000 1 1");
        assertThat(tooLate).containsExactly("late b 9");
    }

    @Test
    void anOverflowFails() {
        WindowSums sums = new WindowSums(new int[] {2});
        long[] most = sums.add(row("a", 0, Long.MAX_VALUE), sums.createAccumulator());
        assertThatThrownBy(() -> sums.add(row("a", 0, 1), most)).isInstanceOf(ArithmeticException.class);
    }
}
