package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CombinerTest {
    private static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("day", DataTypes.DATE()),
                    DataTypes.FIELD("region", DataTypes.STRING()),
                    DataTypes.FIELD("complex_id", DataTypes.STRING()),
                    DataTypes.FIELD("pay", DataTypes.INT()),
                    DataTypes.FIELD("charge", DataTypes.BIGINT()),
                    DataTypes.FIELD("minute", DataTypes.TIMESTAMP_LTZ(3)))
            .getLogicalType();
    private static final long MINUTE = Instant.parse("2026-11-21T03:04:00Z").toEpochMilli();
    private static final int DAY = (int) LocalDate.parse("2026-11-21").toEpochDay();

    private OneInputStreamOperatorTestHarness<RowData, Row> harness;

    private static Combiner combiner() {
        Combiner combiner = new Combiner(
                1000, new String[] {"region", "complex", "day"}, new int[] {0, 0, 0}, new int[] {1, 2, -1}, new int[] {
                    3, 4
                });
        combiner.setInputType(InternalTypeInfo.of(COLUMNS), new ExecutionConfig());
        return combiner;
    }

    @BeforeEach
    void open() throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(combiner());
        harness.setProcessingTime(10_000);
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private static GenericRowData row(int day, String region, String complex, Integer pay, Long charge) {
        return GenericRowData.of(
                day,
                StringData.fromString(region),
                StringData.fromString(complex),
                pay,
                charge,
                TimestampData.fromEpochMillis(MINUTE));
    }

    private void add(RowData row) throws Exception {
        harness.processElement(row, 0);
    }

    private List<String> sent() {
        List<String> sent = new ArrayList<>();
        for (Object record : harness.getOutput()) {
            if (record instanceof StreamRecord) {
                sent.add(((StreamRecord<?>) record).getValue().toString());
            }
        }
        harness.getOutput().clear();
        return sent;
    }

    @Test
    void rowsAreAddedUpPerTotalDayAndKeyAndSentInTime() throws Exception {
        add(row(DAY, "27260", "A1", 1000, 10L));
        add(row(DAY, "27260", null, 2000, 20L));
        add(row(DAY - 1, "27260", "A1", 4000, null));
        add(row(DAY, "27110", "A1", Integer.MAX_VALUE, 40L));
        harness.setProcessingTime(10_999);
        assertThat(sent()).isEmpty();
        harness.setProcessingTime(11_000);
        assertThat(sent())
                .containsExactly(
                        "+I[region|2026-11-21|27260, +I[2, 3000, 30]]",
                        "+I[region|2026-11-20|27260, +I[1, 4000, 0]]",
                        "+I[region|2026-11-21|27110, +I[1, 2147483647, 40]]",
                        "+I[complex|2026-11-21|A1, +I[2, 2147484647, 50]]",
                        "+I[complex|2026-11-20|A1, +I[1, 4000, 0]]",
                        "+I[day|2026-11-21|, +I[3, 2147486647, 70]]",
                        "+I[day|2026-11-20|, +I[1, 4000, 0]]");
        // Idle: no timer, nothing to send. Then again.
        harness.setProcessingTime(50_000);
        assertThat(sent()).isEmpty();
        add(row(DAY, "1", null, 1, 1L));
        harness.setProcessingTime(51_000);
        assertThat(sent()).containsExactly("+I[region|2026-11-21|1, +I[1, 1, 1]]", "+I[day|2026-11-21|, +I[1, 1, 1]]");
    }

    @Test
    void nothingIsHeldAcrossABarrier() throws Exception {
        add(row(DAY, "1", null, 1, 1L));
        harness.prepareSnapshotPreBarrier(1);
        assertThat(sent()).hasSize(2);
        harness.snapshot(1, 1);
        // The timer that is still there sends what came after.
        add(row(DAY, "1", null, 5, 1L));
        harness.setProcessingTime(11_000);
        assertThat(sent()).containsExactly("+I[region|2026-11-21|1, +I[1, 5, 1]]", "+I[day|2026-11-21|, +I[1, 5, 1]]");
        harness.prepareSnapshotPreBarrier(2);
        assertThat(sent()).isEmpty();
    }

    @Test
    void theEndOfTheInputSendsTheRest() throws Exception {
        add(row(DAY, "1", null, 1, 1L));
        harness.endInput();
        assertThat(sent()).hasSize(2);
    }

    @Test
    void theFirstRowsAreSentAtOnceToSeeWhoFetchesThem() throws Exception {
        for (int i = 0; i < Combiner.HEAD_START; i++) {
            assertThat(sent()).isEmpty();
            add(row(DAY, "1", null, 1, 1L));
        }
        assertThat(sent())
                .containsExactly(
                        "+I[region|2026-11-21|1, +I[1000, 1000, 1000]]", "+I[day|2026-11-21|, +I[1000, 1000, 1000]]");
        add(row(DAY, "1", null, 1, 1L));
        assertThat(sent()).isEmpty();
    }

    @Test
    void aTotalThatGrowsTooLargeIsSent() throws Exception {
        for (int i = 0; i < Combiner.HEAD_START; i++) {
            add(row(DAY, "1", null, 1, 1L));
        }
        sent();
        for (int i = 0; i < Combiner.MAX_KEYS + 1; i++) {
            add(row(DAY, "1", "A" + i, 1, 1L));
        }
        assertThat(sent()).hasSize(Combiner.MAX_KEYS);
        harness.endInput();
        assertThat(sent())
                .containsExactlyInAnyOrder(
                        "+I[region|2026-11-21|1, +I[100001, 100001, 100001]]",
                        "+I[complex|2026-11-21|A100000, +I[1, 1, 1]]",
                        "+I[day|2026-11-21|, +I[100001, 100001, 100001]]");
    }

    @Test
    void aRowsMemoryMayBeReused() throws Exception {
        byte[] memory = "..a..".getBytes(StandardCharsets.UTF_8);
        GenericRowData reused = row(DAY, "x", null, 1, 1L);
        reused.setField(1, BinaryStringData.fromBytes(memory, 2, 1));
        for (int c : new int[] {'a', 'b', 'a', 'c'}) {
            memory[2] = (byte) c;
            reused.setField(3, c);
            add(reused);
        }
        memory[2] = 'z';
        reused.setField(3, -1);
        harness.endInput();
        assertThat(sent())
                .containsExactly(
                        "+I[region|2026-11-21|a, +I[2, 194, 2]]",
                        "+I[region|2026-11-21|b, +I[1, 98, 1]]",
                        "+I[region|2026-11-21|c, +I[1, 99, 1]]",
                        "+I[day|2026-11-21|, +I[4, 391, 4]]");
    }

    @Test
    void manyRowsAddUpToTheSame() throws Exception {
        Random random = new Random(42);
        RowDataSerializer serializer = new RowDataSerializer(COLUMNS);
        Map<String, long[]> expected = new HashMap<>();
        Map<String, long[]> found = new HashMap<>();
        for (int i = 0; i < 200_000; i++) {
            int day = DAY - random.nextInt(40);
            String complex = random.nextInt(10) == 0 ? null : "단지-" + random.nextInt(3000);
            int pay = random.nextInt();
            long charge = random.nextInt();
            String region = Integer.toString(random.nextInt(9));
            GenericRowData row = row(day, region, complex, pay, charge);
            // Half as they come over the network, half as they come from the decoder
            add(i % 2 == 0 ? row : serializer.toBinaryRow(row));
            String date = LocalDate.ofEpochDay(day).toString();
            count(expected, "region|" + date + "|" + region, 1, pay, charge);
            count(expected, "day|" + date + "|", 1, pay, charge);
            if (complex != null) {
                count(expected, "complex|" + date + "|" + complex, 1, pay, charge);
            }
            if (random.nextInt(50_000) == 0) {
                harness.prepareSnapshotPreBarrier(i);
            }
        }
        harness.endInput();
        for (Row row : harness.extractOutputValues()) {
            Row sums = row.getFieldAs(1);
            count(found, row.getFieldAs(0), sums.getFieldAs(0), sums.getFieldAs(1), sums.getFieldAs(2));
        }
        assertThat(found).hasSameSizeAs(expected);
        expected.forEach((key, sums) -> assertThat(found.get(key)).as(key).isEqualTo(sums));
    }

    private static void count(Map<String, long[]> sums, String key, long... numbers) {
        sums.merge(key, numbers, (a, b) -> new long[] {a[0] + b[0], a[1] + b[1], a[2] + b[2]});
    }

    @Test
    void anOverflowFailsInsteadOfWrapping() throws Exception {
        add(row(DAY, "1", null, 1, Long.MAX_VALUE));
        assertThatThrownBy(() -> add(row(DAY, "1", null, 1, 1L))).isInstanceOf(ArithmeticException.class);
        add(row(DAY - 1, "1", null, 1, Long.MIN_VALUE));
        assertThatThrownBy(() -> add(row(DAY - 1, "1", null, 1, -1L))).isInstanceOf(ArithmeticException.class);
    }

    @Test
    void sumsMayFallWhileTheNumberOfRecordsGrows() throws Exception {
        add(row(DAY, "1", null, 1, 50_000L));
        add(row(DAY, "1", null, -1, -50_000L));
        add(row(DAY, "1", null, -1, -50_000L));
        harness.endInput();
        assertThat(sent())
                .containsExactly(
                        "+I[region|2026-11-21|1, +I[3, -1, -50000]]", "+I[day|2026-11-21|, +I[3, -1, -50000]]");
    }

    @Test
    void eachTotalHasItsOwnBucket() throws Exception {
        Combiner combiner =
                new Combiner(1000, new String[] {"days", "minutes"}, new int[] {0, 5}, new int[] {1, 1}, new int[] {3});
        combiner.setInputType(InternalTypeInfo.of(COLUMNS), new ExecutionConfig());
        harness.close();
        harness = new OneInputStreamOperatorTestHarness<>(combiner);
        harness.open();
        RowDataSerializer serializer = new RowDataSerializer(COLUMNS);
        for (int i = 0; i < 4; i++) {
            GenericRowData row = row(DAY, "1", null, 10, null);
            row.setField(5, TimestampData.fromEpochMillis(MINUTE + i / 2 * 60_000));
            add(serializer.toBinaryRow(row));
        }
        harness.endInput();
        assertThat(sent())
                .containsExactly(
                        "+I[days|2026-11-21|1, +I[4, 40]]",
                        "+I[minutes|%d|1, +I[2, 20]]".formatted(MINUTE),
                        "+I[minutes|%d|1, +I[2, 20]]".formatted(MINUTE + 60_000));
    }

    @Test
    void aRowWithoutItsBucketSaysSo() throws Exception {
        GenericRowData row = row(DAY, "1", null, 1, 1L);
        row.setField(0, null);
        assertThatThrownBy(() -> add(row))
                .hasMessageContaining("the bucket of region")
                .hasMessageContaining("dead letters");
    }

    @Test
    void wrongColumnsAreRefusedWhenTheJobIsPutTogether() {
        Combiner wrong = new Combiner(1000, new String[] {"a"}, new int[] {0}, new int[] {3}, new int[] {4});
        assertThatThrownBy(() -> wrong.setInputType(InternalTypeInfo.of(COLUMNS), null))
                .hasMessageContaining("Column 3 is INT, the combiner needs [VARCHAR]");
        assertThatThrownBy(() -> wrong.setInputType(Types.STRING, null)).hasMessageContaining("RowData");
        Combiner unbucketed = new Combiner(1000, new String[] {"a"}, new int[] {1}, new int[] {-1}, new int[] {4});
        assertThatThrownBy(() -> unbucketed.setInputType(InternalTypeInfo.of(COLUMNS), null))
                .hasMessageContaining("Column 1 is STRING, the combiner needs [DATE, TIMESTAMP_WITH_LOCAL_TIME_ZONE]");
        assertThatThrownBy(() -> new Combiner(1000, new String[] {"a"}, new int[1], new int[0], new int[0]))
                .hasMessageContaining("1 totals, 1 buckets, 0 keys");
        assertThatThrownBy(() -> new Combiner(1000, new String[] {"a|b"}, new int[1], new int[] {-1}, new int[0]))
                .hasMessageContaining("holds no |: a|b");
    }

    @Test
    void theOutputTypeIsARowThatPythonReads() {
        assertThat(Combiner.outputType(new String[] {"orders", "pay"}))
                .isEqualTo(Types.ROW_NAMED(
                        new String[] {"key", "sums"},
                        Types.STRING,
                        Types.ROW_NAMED(new String[] {"orders", "pay"}, Types.LONG, Types.LONG)));
    }
}
