package citystream.records;

import static org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.runtime.operators.windowing.WindowOperatorBuilder;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.util.OutputTag;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // the results may be interrupted in close()
class WindowSumsTest {
    private static final InternalTypeInfo<RowData> ROWS =
            InternalTypeInfo.ofFields(VarCharType.STRING_TYPE, new LocalZonedTimestampType(3), new BigIntType());

    private static RowData row(String key, long at, long sum) {
        return GenericRowData.of(StringData.fromString(key), TimestampData.fromEpochMillis(at), sum);
    }

    @Test
    void rowsAreAddedToTheirMinuteAndWhatIsTooLateLeaves() throws Exception {
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment().setParallelism(1);
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
                .assignTimestampsAndWatermarks(WatermarkStrategy.<RowData>forGenerator(context -> new AfterEachRow())
                        .withTimestampAssigner(
                                (row, at) -> row.getTimestamp(1, 3).getMillisecond()));
        OutputTag<RowData> late = new OutputTag<>("late", ROWS);
        SingleOutputStreamOperator<RowData> sums = rows.transform("times", ROWS, new EventTimestamps(1))
                .keyBy(new FieldKey(0), FieldKey.TYPE)
                .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
                .allowedLateness(Duration.ofMinutes(2))
                .sideOutputLateData(late)
                .trigger(new FiringTrigger(3_600_000))
                .aggregate(
                        new WindowSums(new int[] {2}),
                        new WindowSums.AsRow(),
                        LONG_PRIMITIVE_ARRAY_TYPE_INFO,
                        WindowSums.AsRow.type("key", "minute", new String[] {"sum"}));
        Map<String, String> newest = new HashMap<>();
        List<String> tooLate = new ArrayList<>();
        try (var results = sums.map(row -> new String[] {
                    row.getString(0) + " " + row.getTimestamp(1, 3).getMillisecond(),
                    row.getLong(2) + " in " + row.getLong(3)
                })
                .union(sums.getSideOutput(late).map(row -> new String[] {row.getString(0) + " " + row.getLong(2)}))
                .executeAndCollect()) {
            results.forEachRemaining(line -> {
                if (line.length == 1) {
                    tooLate.add(line[0]);
                } else {
                    newest.put(line[0], line[1]);
                }
            });
        }
        assertThat(newest)
                .isEqualTo(Map.of("a 0", "8 in 3", "b 0", "1 in 1", "a 120000", "3 in 1", "a 960000", "1 in 1"));
        assertThat(tooLate).containsExactly("b 9");
    }

    @Test
    void aWindowIsShownWhileItFillsAndBeforeItIsForgotten() throws Exception {
        var trigger = new FiringTrigger(1_000);
        var operator = new WindowOperatorBuilder<>(
                TumblingEventTimeWindows.of(Duration.ofMinutes(1)),
                trigger,
                new ExecutionConfig(),
                ROWS,
                new FieldKey(0),
                FieldKey.TYPE);
        operator.allowedLateness(Duration.ofMinutes(2));
        try (var harness = new KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData>(
                operator.aggregate(
                        new WindowSums(new int[] {2}), new WindowSums.AsRow(), LONG_PRIMITIVE_ARRAY_TYPE_INFO),
                new FieldKey(0),
                FieldKey.TYPE)) {
            harness.setup(WindowSums.AsRow.type("key", "minute", new String[] {"sum"})
                    .createSerializer(new SerializerConfigImpl()));
            harness.open();
            harness.setProcessingTime(10);
            harness.processElement(row("a", 1_000, 5), 1_000);
            harness.processElement(row("a", 2_000, 6), 2_000);
            assertThat(harness.extractOutputValues()).isEmpty();
            harness.setProcessingTime(1_000);
            assertThat(sums(harness)).containsExactly(11L);
            harness.processWatermark(100_000);
            harness.processElement(row("a", 3_000, 1), 3_000); // late, and allowed
            harness.processWatermark(300_000); // before its second is over
            assertThat(sums(harness)).containsExactly(11L, 12L);
            assertThat(harness.numKeyedStateEntries()).isZero();
            harness.setProcessingTime(9_000);
            assertThat(sums(harness)).hasSize(2);
        }
    }

    private static final class AfterEachRow implements WatermarkGenerator<RowData> {
        @Override
        public void onEvent(RowData row, long timestamp, WatermarkOutput output) {
            output.emitWatermark(new Watermark(timestamp));
        }

        @Override
        public void onPeriodicEmit(WatermarkOutput output) {
            // Only after rows.
        }
    }

    private static List<Long> sums(KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness) {
        return harness.extractOutputValues().stream().map(row -> row.getLong(2)).toList();
    }

    @Test
    void anOverflowFails() {
        WindowSums sums = new WindowSums(new int[] {2});
        long[] most = sums.add(row("a", 0, Long.MAX_VALUE), sums.createAccumulator());
        assertThatThrownBy(() -> sums.add(row("a", 0, 1), most)).isInstanceOf(ArithmeticException.class);
    }
}
