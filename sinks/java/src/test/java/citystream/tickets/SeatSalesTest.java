package citystream.tickets;

import static org.assertj.core.api.Assertions.assertThat;

import citystream.records.FieldsKey;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // the harness may be interrupted in close()
class SeatSalesTest {
    private static final FieldsKey SEAT = new FieldsKey(4, 6);

    private static KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness() throws Exception {
        var harness = new KeyedOneInputStreamOperatorTestHarness<>(
                new KeyedProcessOperator<>(new SeatSales(0, 1, 2, 3, 5, 1_000_000)), SEAT, SEAT.type());
        harness.setup(SeatSales.TAKEN.createSerializer(new SerializerConfigImpl()));
        return harness;
    }

    private static RowData sale(String ticket, long at) {
        return event(true, ticket, at, at);
    }

    private static RowData cancellation(String ticket, long at) {
        return event(false, ticket, at, at);
    }

    private static RowData event(boolean sale, String ticket, long at, long written) {
        return GenericRowData.of(
                sale,
                StringData.fromString(ticket),
                TimestampData.fromEpochMillis(at),
                TimestampData.fromEpochMillis(written),
                StringData.fromString("S1"),
                StringData.fromString("오페라하우스"),
                StringData.fromString("A-1"));
    }

    private static List<String> oversells(KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness) {
        List<String> pairs = new ArrayList<>();
        if (harness.getSideOutput(SeatSales.OVERSELLS) != null) {
            for (StreamRecord<Row> record : harness.getSideOutput(SeatSales.OVERSELLS)) {
                Row row = record.getValue();
                assertThat(row.getField(0)).isEqualTo("S1");
                assertThat(row.getField(1)).isEqualTo("A-1");
                pairs.add(row.getField(2) + " " + row.getField(3) + " "
                        + row.<Instant>getFieldAs(4).toEpochMilli());
            }
        }
        return pairs;
    }

    private static List<Long> taken(KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness) {
        List<Long> changes = new ArrayList<>();
        harness.extractOutputValues().forEach(row -> changes.add(row.getLong(2)));
        return changes;
    }

    @Test
    void aSecondSaleOfATakenSeatIsOneAlarm() throws Exception {
        try (var harness = harness()) {
            harness.open();
            harness.processElement(sale("t1", 100), 100);
            harness.processElement(sale("t2", 200), 200);
            assertThat(oversells(harness)).isEmpty();
            harness.processWatermark(200);
            assertThat(oversells(harness)).containsExactly("t1 t2 200");
            harness.processElement(sale("t2", 200), 200);
            harness.processWatermark(10_000);
            assertThat(oversells(harness)).hasSize(1);
            assertThat(taken(harness)).containsExactly(1L);
        }
    }

    @Test
    void aSeatThatWasGivenBackMayBeSoldAgainInWhateverOrderThatComes() throws Exception {
        RowData[] events = {sale("t1", 100), cancellation("t1", 150), sale("t2", 200)};
        int[][] orders = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        for (int[] order : orders) {
            try (var harness = harness()) {
                harness.open();
                for (int i : order) {
                    harness.processElement(events[i], 0);
                }
                harness.processWatermark(1_000);
                assertThat(oversells(harness)).isEmpty();
                assertThat(taken(harness).stream().mapToLong(Long::longValue).sum())
                        .isEqualTo(1);
            }
        }
    }

    @Test
    void anEarlierSaleThatComesLaterIsStillTheFirst() throws Exception {
        try (var harness = harness()) {
            harness.open();
            harness.processElement(sale("t2", 200), 200);
            harness.processWatermark(300);
            harness.processElement(sale("t1", 100), 100);
            harness.processWatermark(301);
            assertThat(oversells(harness)).containsExactly("t1 t2 200");
        }
    }

    @Test
    void aSaleThatWasWrittenLaterIsJudgedByThen() throws Exception {
        try (var harness = harness()) {
            harness.open();
            harness.processElement(event(true, "t1", 100, 5_100), 0);
            harness.processElement(event(true, "t2", 200, 5_200), 0);
            harness.processWatermark(5_199);
            harness.processElement(event(false, "t1", 150, 5_150), 0);
            harness.processWatermark(5_200);
            assertThat(oversells(harness)).isEmpty();
        }
    }

    @Test
    void aCancellationAfterTheSecondSaleDoesNotExcuseIt() throws Exception {
        try (var harness = harness()) {
            harness.open();
            harness.processElement(sale("t1", 100), 100);
            harness.processElement(sale("t2", 200), 200);
            harness.processElement(cancellation("t1", 201), 201);
            harness.processElement(cancellation("t2", 202), 202);
            harness.processWatermark(1_000);
            assertThat(oversells(harness)).containsExactly("t1 t2 200");
            assertThat(taken(harness)).containsExactly(1L, -1L);
        }
    }

    @Test
    void whatIsHeldAndWhatIsDueIsRestored() throws Exception {
        OperatorSubtaskState state;
        try (var harness = harness()) {
            harness.open();
            harness.processElement(sale("t1", 100), 100);
            harness.processElement(sale("t2", 200), 200);
            state = harness.snapshot(1, 1);
        }
        try (var harness = harness()) {
            harness.initializeState(state);
            harness.open();
            harness.processElement(sale("t3", 250), 250);
            harness.processWatermark(1_000);
            assertThat(oversells(harness)).containsExactly("t1 t2 200", "t1 t3 250");
        }
    }

    @Test
    void aFloodOfSalesOfOneSeatIsBounded() throws Exception {
        try (var harness = harness()) {
            harness.open();
            for (int i = 0; i < 5_000; i++) {
                harness.processElement(sale("t" + i, 1_000 + i), 0);
                if (i % 50 == 0) {
                    harness.processWatermark(1_000 + i);
                }
            }
            harness.processWatermark(1_000_000);
            assertThat(oversells(harness)).hasSize(4_999).doesNotHaveDuplicates();
            harness.processElement(cancellation("t0", 1_000_001), 0);
            assertThat(harness.extractOutputValues().get(0).getLong(2)).isEqualTo(1L);
        }
    }

    @Test
    void aSeatIsForgottenAfterItsTime() throws Exception {
        try (var harness = harness()) {
            harness.open();
            harness.setStateTtlProcessingTime(0);
            harness.processElement(sale("t1", 100), 100);
            harness.setStateTtlProcessingTime(1_000_001);
            harness.processElement(sale("t2", 200), 200);
            harness.processWatermark(1_000);
            assertThat(oversells(harness)).isEmpty();
        }
    }
}
