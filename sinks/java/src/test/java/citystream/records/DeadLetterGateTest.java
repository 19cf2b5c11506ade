package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Metric;
import org.apache.flink.runtime.metrics.groups.UnregisteredMetricGroups;
import org.apache.flink.streaming.api.operators.ProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DeadLetterGateTest {
    private static final long NOW = 1_795_230_245_678L; // 2026-11-21T03:04:05.678Z
    private final ProcessOperator<RowData, RowData> operator =
            new ProcessOperator<>(new DeadLetterGate(0, 1, 2, 3, 4, 5, 1000));
    private OneInputStreamOperatorTestHarness<RowData, RowData> harness;

    @BeforeEach
    void open() throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(operator);
        harness.setProcessingTime(NOW);
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private static RowData row(String error, byte[] raw, Long time) {
        return GenericRowData.of(
                StringData.fromString(error),
                raw,
                StringData.fromString("deliveries"),
                3,
                4_000_000_000L,
                time == null ? null : TimestampData.fromEpochMillis(time));
    }

    private DeadLetter letter(RowData row) throws Exception {
        harness.processElement(row, 0);
        var letters = harness.getSideOutput(DeadLetterGate.DEAD_LETTERS);
        DeadLetter letter = null;
        for (StreamRecord<Row> record : letters) {
            letter = DeadLetter.of(record.getValue());
        }
        return letter;
    }

    @Test
    void goodRowsGoOnUnchangedEvenLate() throws Exception {
        List<RowData> rows = List.of(
                row(null, null, NOW), row(null, null, NOW - 1001), row(null, null, NOW - 1000), row(null, null, null));
        for (RowData row : rows) {
            harness.processElement(row, 0);
        }
        List<RowData> out = new ArrayList<>(harness.extractOutputValues());
        assertThat(out).hasSize(4);
        for (int i = 0; i < 4; i++) {
            assertThat(out.get(i)).isEqualTo(rows.get(i));
        }
        assertThat(harness.getSideOutput(DeadLetterGate.DEAD_LETTERS)).isNull();
        assertThat(counters()).containsEntry("citystream.decoded", 4L).containsEntry("citystream.late", 1L);
    }

    @Test
    void aBrokenRowBecomesALetter() throws Exception {
        byte[] raw = {(byte) 0xFF, 0, 1};
        DeadLetter letter = letter(row("wrong-type: pay: expected INT, found string \"5\" \\ \n\u0001", raw, null));
        assertThat(harness.extractOutputValues()).isEmpty();
        assertThat(letter.reason()).isEqualTo("wrong-type");
        assertThat(letter.detail()).isEqualTo("pay: expected INT, found string \"5\" \\ \n\u0001");
        assertThat(letter.key()).isEqualTo("deliveries|3|4000000000");
        assertThat(letter.raw()).isEqualTo(raw);
        letter(row("wrong-type: x", raw, null));
        letter(row("negative-pay: -1", raw, null));
        assertThat(counters())
                .containsEntry("citystream.reason.wrong-type.dead_lettered", 2L)
                .containsEntry("citystream.reason.negative-pay.dead_lettered", 1L)
                .containsEntry("citystream.decoded", 0L);
    }

    @Test
    void aTombstoneHasNoRaw() throws Exception {
        DeadLetter letter = letter(row("null-value: no value", null, null));
        assertThat(letter.raw()).isNull();
        assertThat(letter(row("odd", new byte[0], null)).raw()).isEmpty();
        assertThat(letter(row("odd", new byte[0], null)).detail()).isEmpty();
    }

    /** The counters by the names under which a reporter sees them. */
    private Map<String, Long> counters() {
        Map<String, Long> counters = new HashMap<>();
        Registered.collect(operator.getMetricGroup(), "", counters);
        return counters;
    }

    /** Flink's test metric groups keep no registry that can be asked, so the groups themselves are. */
    private static final class Registered {
        static void collect(Object group, String prefix, Map<String, Long> counters) {
            try {
                Class<?> type = Class.forName("org.apache.flink.runtime.metrics.groups.AbstractMetricGroup");
                if (!type.isInstance(group)) {
                    throw new IllegalStateException(UnregisteredMetricGroups.class + " expected, not " + group);
                }
                var metrics = type.getDeclaredField("metrics");
                var groups = type.getDeclaredField("groups");
                metrics.setAccessible(true);
                groups.setAccessible(true);
                for (Map.Entry<?, ?> metric : ((Map<?, ?>) metrics.get(group)).entrySet()) {
                    if (metric.getValue() instanceof Counter && metric.getValue() instanceof Metric) {
                        counters.put(prefix + metric.getKey(), ((Counter) metric.getValue()).getCount());
                    }
                }
                for (Map.Entry<?, ?> child : ((Map<?, ?>) groups.get(group)).entrySet()) {
                    collect(child.getValue(), prefix + child.getKey() + ".", counters);
                }
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
