package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.runtime.state.storage.JobManagerCheckpointStorage;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.VarCharType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("try") // the harness may be interrupted in close()
class FirstPerKeyTest {
    private static KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness(String backend)
            throws Exception {
        KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness =
                new KeyedOneInputStreamOperatorTestHarness<>(
                        new KeyedProcessOperator<>(new FirstPerKey(1000)), new FieldKey(0), FieldKey.TYPE);
        StateBackend chosen = backend.equals("rocksdb") ? new EmbeddedRocksDBStateBackend() : new HashMapStateBackend();
        harness.setStateBackend(chosen);
        harness.setCheckpointStorage(new JobManagerCheckpointStorage());
        harness.setup(new RowDataSerializer(VarCharType.STRING_TYPE, new IntType()));
        return harness;
    }

    private static RowData row(String key, int value) {
        return GenericRowData.of(StringData.fromString(key), value);
    }

    private static List<Integer> values(KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness) {
        List<Integer> values = new ArrayList<>();
        harness.extractOutputValues().forEach(row -> values.add(row.getInt(1)));
        return values;
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void theFirstGoesOnUntilItsTimeIsOver(String backend) throws Exception {
        try (var harness = harness(backend)) {
            harness.open();
            harness.setStateTtlProcessingTime(0);
            harness.processElement(row("a", 1), 0);
            harness.processElement(row("b", 2), 0);
            harness.processElement(row("a", 3), 0);
            harness.setStateTtlProcessingTime(999);
            harness.processElement(row("a", 4), 0);
            assertThat(values(harness)).containsExactly(1, 2);
            // A repeat does not prolong the time.
            harness.setStateTtlProcessingTime(1001);
            harness.processElement(row("a", 5), 0);
            harness.processElement(row("a", 6), 0);
            assertThat(values(harness)).containsExactly(1, 2, 5);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void whatWasSeenIsRestored(String backend) throws Exception {
        OperatorSubtaskState state;
        try (var harness = harness(backend)) {
            harness.open();
            harness.setStateTtlProcessingTime(0);
            for (int i = 0; i < 1000; i++) {
                harness.processElement(row("대구-" + i, i), 0);
            }
            state = harness.snapshot(1, 1);
        }
        try (var harness = harness(backend)) {
            harness.initializeState(state);
            harness.open();
            harness.setStateTtlProcessingTime(500);
            for (int i = 999; i < 1001; i++) {
                harness.processElement(row("대구-" + i, i), 0);
            }
            assertThat(values(harness)).containsExactly(1000);
            harness.setStateTtlProcessingTime(1001);
            harness.processElement(row("대구-7", 7), 0);
            harness.processElement(row("대구-1000", 8), 0);
            assertThat(values(harness)).containsExactly(1000, 7);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void aRowsMemoryMayBeReused(String backend) throws Exception {
        byte[] memory = "..a..".getBytes(java.nio.charset.StandardCharsets.UTF_8);
        GenericRowData reused = GenericRowData.of(BinaryStringData.fromBytes(memory, 2, 1), 0);
        try (var harness = harness(backend)) {
            harness.open();
            int[] order = {'a', 'b', 'a', 'c', 'b', 'c', 'd'};
            List<Integer> passed = new ArrayList<>();
            for (int c : order) {
                memory[2] = (byte) c;
                int before = harness.getOutput().size();
                harness.processElement(reused, 0);
                if (harness.getOutput().size() > before) {
                    passed.add(c);
                }
            }
            assertThat(passed).containsExactly((int) 'a', (int) 'b', (int) 'c', (int) 'd');
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void rowsWithoutAKeyAllGoOn(String backend) throws Exception {
        try (var harness = harness(backend)) {
            harness.open();
            harness.processElement(row("", 1), 0);
            harness.processElement(row("", 2), 0);
            harness.processElement(row(null, 3), 0);
            harness.processElement(row(null, 4), 0);
            assertThat(values(harness)).containsExactly(1, 2, 3, 4);
        }
    }
}
