package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // the harness may be interrupted in close()
class ThrottleTest {
    private static final TypeInformation<Row> ROWS = Types.ROW(Types.STRING, Types.INT);
    private static final int PER_SECOND = 10;
    private static final int AT_ONCE = 1 + PER_SECOND * (int) Throttle.LEAD_MILLIS / 1_000;

    private static KeyedOneInputStreamOperatorTestHarness<Row, Row, Row> harness() throws Exception {
        var harness = new KeyedOneInputStreamOperatorTestHarness<Row, Row, Row>(
                new KeyedProcessOperator<>(new Throttle(PER_SECOND, 1_000_000, ROWS)),
                row -> Row.of(row.getField(0)),
                Types.ROW(Types.STRING));
        harness.setup(ROWS.createSerializer(harness.getExecutionConfig().getSerializerConfig()));
        return harness;
    }

    private static List<Integer> values(KeyedOneInputStreamOperatorTestHarness<Row, Row, Row> harness) {
        return harness.extractOutputValues().stream()
                .map(row -> (Integer) row.getField(1))
                .toList();
    }

    private static void take(KeyedOneInputStreamOperatorTestHarness<Row, Row, Row> harness, int from, int to)
            throws Exception {
        for (int key = from; key < to; key++) {
            harness.processElement(Row.of("key " + key, key), 0);
        }
    }

    private static List<Integer> upTo(int end) {
        return IntStream.range(0, end).boxed().toList();
    }

    @Test
    void keysPassInTheirOrderAtTheRate() throws Exception {
        try (var harness = harness()) {
            harness.open();
            take(harness, 0, 50);
            assertThat(values(harness)).isEqualTo(upTo(AT_ONCE));
            harness.setProcessingTime(1_000);
            assertThat(values(harness)).isEqualTo(upTo(AT_ONCE + PER_SECOND));
            harness.setProcessingTime(60_000);
            assertThat(values(harness)).isEqualTo(upTo(50));
        }
    }

    @Test
    void rowsOfOneKeyPassTogetherAndThenAtOnce() throws Exception {
        try (var harness = harness()) {
            harness.open();
            take(harness, 0, AT_ONCE);
            harness.processElement(Row.of("late", 100), 0);
            harness.processElement(Row.of("late", 101), 0);
            harness.processElement(Row.of("key 0", 102), 0);
            assertThat(values(harness)).hasSize(AT_ONCE + 1).endsWith(102);
            harness.setProcessingTime(1_000);
            harness.processElement(Row.of("late", 103), 0);
            assertThat(values(harness)).hasSize(AT_ONCE + 4).endsWith(100, 101, 103);
        }
    }

    @Test
    void whatWaitsIsInCheckpoints() throws Exception {
        OperatorSubtaskState state;
        try (var harness = harness()) {
            harness.open();
            take(harness, 0, 50);
            state = harness.snapshot(1, 1);
        }
        try (var restored = harness()) {
            restored.initializeState(state);
            restored.open();
            restored.setProcessingTime(60_000);
            assertThat(values(restored))
                    .containsExactlyInAnyOrderElementsOf(
                            IntStream.range(AT_ONCE, 50).boxed().toList());
            restored.processElement(Row.of("key 0", 102), 0);
            assertThat(values(restored)).endsWith(102);
        }
    }
}
