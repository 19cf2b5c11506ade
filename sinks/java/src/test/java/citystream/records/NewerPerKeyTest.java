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
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.VarCharType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("try") // the harness may be interrupted in close()
class NewerPerKeyTest {
    private static KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness(String backend)
            throws Exception {
        KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness =
                new KeyedOneInputStreamOperatorTestHarness<>(
                        new KeyedProcessOperator<>(new NewerPerKey(1, 1000)), new FieldKey(0), FieldKey.TYPE);
        StateBackend chosen = backend.equals("rocksdb") ? new EmbeddedRocksDBStateBackend() : new HashMapStateBackend();
        harness.setStateBackend(chosen);
        harness.setCheckpointStorage(new JobManagerCheckpointStorage());
        harness.setup(new RowDataSerializer(VarCharType.STRING_TYPE, new LocalZonedTimestampType(3), new IntType()));
        return harness;
    }

    private static RowData row(String key, Integer time, int value) {
        TimestampData at = time == null ? null : TimestampData.fromEpochMillis(time);
        return GenericRowData.of(StringData.fromString(key), at, value);
    }

    private static List<Integer> values(KeyedOneInputStreamOperatorTestHarness<StringData, RowData, RowData> harness) {
        List<Integer> values = new ArrayList<>();
        harness.extractOutputValues().forEach(row -> values.add(row.getInt(2)));
        return values;
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void onlyWhatIsNewerGoesOn(String backend) throws Exception {
        try (var harness = harness(backend)) {
            harness.open();
            harness.processElement(row("a", 20, 1), 0);
            harness.processElement(row("b", 10, 2), 0);
            harness.processElement(row("a", 20, 3), 0); // a repeat
            harness.processElement(row("a", 19, 4), 0); // an older one
            harness.processElement(row("a", 21, 5), 0);
            harness.processElement(row("b", -1, 6), 0); // before 1970, and older
            assertThat(values(harness)).containsExactly(1, 2, 5);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void whatHasNoTimeGoesOnAndChangesNothing(String backend) throws Exception {
        try (var harness = harness(backend)) {
            harness.open();
            harness.processElement(row("a", null, 1), 0);
            harness.processElement(row("a", 20, 2), 0);
            harness.processElement(row("a", null, 3), 0);
            harness.processElement(row("a", 20, 4), 0);
            harness.processElement(row(null, null, 5), 0);
            assertThat(values(harness)).containsExactly(1, 2, 3, 5);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hashmap", "rocksdb"})
    void theNewestIsRestoredAndForgottenWhenItsTimeIsOver(String backend) throws Exception {
        OperatorSubtaskState state;
        try (var harness = harness(backend)) {
            harness.open();
            harness.setStateTtlProcessingTime(0);
            harness.processElement(row("a", 20, 1), 0);
            harness.setStateTtlProcessingTime(600);
            harness.processElement(row("a", 21, 2), 0);
            state = harness.snapshot(1, 1);
        }
        try (var harness = harness(backend)) {
            harness.initializeState(state);
            harness.open();
            harness.setStateTtlProcessingTime(1500);
            harness.processElement(row("a", 21, 3), 0);
            assertThat(values(harness)).isEmpty();
            harness.setStateTtlProcessingTime(1601);
            harness.processElement(row("a", 21, 4), 0);
            assertThat(values(harness)).containsExactly(4);
        }
    }
}
