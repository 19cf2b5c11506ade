package citystream.postgres;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.connector.sink2.mocks.MockCommitRequest;
import org.apache.flink.runtime.metrics.groups.MetricsGroupTestUtils;
import org.apache.flink.streaming.runtime.tasks.TestProcessingTimeService;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.DoubleType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarCharType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Not a test: how fast one million orders go each way. {@code mvn -Dtest=LedgerSpeed -Dspeed=1000000 test} */
@EnabledIfSystemProperty(named = "speed", matches = "\\d+")
class LedgerSpeed {
    private static final VarCharType TEXT = new VarCharType(200);
    private static final RowType TYPE = RowType.of(
            new LogicalType[] {
                TEXT,
                new LocalZonedTimestampType(3),
                new IntType(),
                TEXT,
                TEXT,
                TEXT,
                new IntType(),
                new IntType(),
                TEXT,
                TEXT,
                TEXT,
                TEXT,
                new DoubleType(),
                new DoubleType()
            },
            new String[] {
                "order_id",
                "ordered_at",
                "store_id",
                "store_name",
                "category",
                "menu",
                "pay",
                "delivery_charge",
                "payment_method",
                "complex_id",
                "region",
                "address",
                "lat",
                "lon"
            });
    private static final String TABLE =
            """
            CREATE TABLE %s (order_id text PRIMARY KEY, ordered_at timestamptz NOT NULL, store_id int NOT NULL, store_name text,
                category text, menu text, pay int NOT NULL, delivery_charge int NOT NULL, payment_method text, complex_id text,
                region text, address text, lat double precision, lon double precision)""";

    private static final ThreadMXBean CPU = ManagementFactory.getThreadMXBean();

    private final TestPostgres postgres = TestPostgres.shared();
    private final int total = Integer.getInteger("speed");

    @Test
    void measure() throws Exception {
        List<RowData> sample = new ArrayList<>();
        RowDataSerializer serializer = new RowDataSerializer(TYPE);
        for (int i = 0; i < 10_000; i++) {
            sample.add(serializer.toBinaryRow(order(i)).copy());
        }

        Columns columns = new Columns(TYPE);
        CopyBuffer buffer = new CopyBuffer(5 << 20);
        for (int round = 1; round <= 3; round++) {
            long bytes = 0;
            long start = System.nanoTime();
            long busy = CPU.getCurrentThreadCpuTime();
            for (int i = 0; i < total; i++) {
                columns.encode(sample.get(i % sample.size()), buffer);
                if (buffer.length() > 4 << 20) {
                    bytes += buffer.length();
                    buffer.clear();
                }
            }
            report("encode, round " + round, start);
            double cpu = (CPU.getCurrentThreadCpuTime() - busy) / 1e9;
            System.out.printf("of it %.2f s on the processor; %,d bytes per row%n", cpu, bytes / total);
        }

        for (int round = 1; round <= 2; round++) {
            String table = "speed_ledger_" + round;
            postgres.execute(TABLE.formatted(table));
            StagedCommitSink sink =
                    new StagedCommitSink(postgres.server(), table, "speed." + round, TYPE, "ordered_at", 4 << 20);
            try (StagedWriter writer = new StagedWriter(sink, 0, 1, 0, MetricsGroupTestUtils.mockWriterMetricGroup());
                    StagedCommitter committer =
                            new StagedCommitter(sink, 0, 1, MetricsGroupTestUtils.mockCommitterMetricGroup())) {
                long stage = System.nanoTime();
                for (int i = 0; i < total; i++) {
                    writer.write(serializer.toBinaryRow(order(round * total + i)), null);
                }
                writer.flush(false);
                List<Epoch> epochs = List.copyOf(writer.prepareCommit());
                writer.snapshotState(1);
                report("stage (make the row, encode, COPY), round " + round, stage);
                long move = System.nanoTime();
                committer.commit(List.of(new MockCommitRequest<>(epochs.get(0))));
                report("move, round " + round, move);
            }
        }

        postgres.execute(TABLE.formatted("speed_upsert"));
        UpsertSink upsert =
                new UpsertSink(postgres.server(), "speed_upsert", TYPE, new String[] {"order_id"}, null, 5_000, 1_000);
        try (UpsertWriter writer = new UpsertWriter(
                upsert, "test", 0, new TestProcessingTimeService(), MetricsGroupTestUtils.mockWriterMetricGroup())) {
            long start = System.nanoTime();
            for (int i = 0; i < total; i++) {
                writer.write(serializer.toBinaryRow(order(i)), null);
            }
            writer.flush(false);
            report("upsert without version", start);
        }
    }

    private static GenericRowData order(int i) {
        return GenericRowData.of(
                text("%016x".formatted(i * 0x9E3779B97F4A7C15L)),
                TimestampData.fromEpochMillis(1_795_000_000_000L + i),
                i % 500,
                text("달구벌 치킨 " + i % 500),
                text("치킨"),
                text("후라이드 한마리"),
                18_000 + i % 1_000,
                3_000,
                text("card"),
                text("A1002" + i % 400),
                text("27110"),
                text("대구광역시 중구 동성로 " + i % 300),
                35.87 + i % 1_000 / 1e4,
                128.6 + i % 1_000 / 1e4);
    }

    private static StringData text(String text) {
        return StringData.fromString(text);
    }

    private void report(String what, long start) {
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf("%s: %.2f s, %,.0f rows/s%n", what, seconds, total / seconds);
    }
}
