package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The parts in one job on a small cluster, with object reuse and checkpoints, as the jobs put them together. */
@SuppressWarnings("try") // the iterator may be interrupted in close()
class RecordsJobTest {
    @RegisterExtension
    static final MiniClusterExtension CLUSTER = new MiniClusterExtension(new MiniClusterResourceConfiguration.Builder()
            .setNumberTaskManagers(1)
            .setNumberSlotsPerTaskManager(2)
            .build());

    private static final RowType RECORD = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("id", DataTypes.STRING()),
                    DataTypes.FIELD("day", DataTypes.DATE()),
                    DataTypes.FIELD("pay", DataTypes.INT()))
            .getLogicalType();
    private static final RowType ROW = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("id", DataTypes.STRING()),
                    DataTypes.FIELD("day", DataTypes.DATE()),
                    DataTypes.FIELD("pay", DataTypes.INT()),
                    DataTypes.FIELD("raw", DataTypes.BYTES()),
                    DataTypes.FIELD("error", DataTypes.STRING()),
                    DataTypes.FIELD("topic", DataTypes.STRING()),
                    DataTypes.FIELD("partition", DataTypes.INT()),
                    DataTypes.FIELD("offset", DataTypes.BIGINT()))
            .getLogicalType();

    @Test
    @Timeout(180)
    void goodOrdersAreCountedOnceAndBadOnesBecomeLetters() throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(new Configuration()
                .set(PipelineOptions.OBJECT_REUSE, true)
                .set(RestartStrategyOptions.RESTART_STRATEGY, "none"));
        env.setParallelism(2);
        env.enableCheckpointing(20);
        RecordJsonDeserializationSchema schema = new RecordJsonDeserializationSchema(
                RECORD, List.of("raw", "error"), List.of(), 64, InternalTypeInfo.of(RECORD));
        // 10,000 ids, each twice, and every hundredth record broken besides
        DataStream<RowData> rows = env.fromSequence(0, 19_999)
                .flatMap(
                        (Long n, org.apache.flink.util.Collector<RowData> out) -> {
                            long id = n % 10_000;
                            String json =
                                    "{\"id\":\"D" + id + "\",\"day\":\"2026-11-2" + id % 2 + "\",\"pay\":" + id + "}";
                            out.collect(withOrigin(schema.deserialize(json.getBytes(StandardCharsets.UTF_8)), n));
                            if (n % 100 == 0) {
                                out.collect(withOrigin(schema.deserialize(n % 200 == 0 ? null : new byte[] {'{'}), n));
                            }
                        },
                        InternalTypeInfo.of(ROW))
                .returns(InternalTypeInfo.of(ROW));
        SingleOutputStreamOperator<RowData> gate =
                rows.process(new DeadLetterGate(4, 3, 5, 6, 7, -1, 0), InternalTypeInfo.of(ROW));
        DataStream<Row> partials = RowDataStreams.keyBy(gate, 0)
                .process(new FirstPerKey(3_600_000), InternalTypeInfo.of(ROW))
                .transform(
                        "combine",
                        Combiner.outputType(new String[] {"orders", "pay"}),
                        new Combiner(
                                30, new String[] {"per_day", "per_id"}, new int[] {1, 1}, new int[] {-1, 0}, new int[] {
                                    2
                                }));
        DataStream<Object> all = partials.map(
                        row -> (Object) row.toString(),
                        org.apache.flink.api.common.typeinfo.Types.GENERIC(Object.class))
                .union(RowDataStreams.deadLetters(gate)
                        .map(
                                letter -> (Object) DeadLetter.of(letter),
                                org.apache.flink.api.common.typeinfo.Types.GENERIC(Object.class)));
        List<Object> results = new ArrayList<>();
        try (var iterator = all.executeAndCollect()) {
            iterator.forEachRemaining(results::add);
        }
        TreeMap<String, Long> sums = new TreeMap<>();
        for (Object result : results) {
            String text = result.toString();
            if (result instanceof DeadLetter letter) {
                sums.merge(letter.reason(), 1L, Long::sum);
            } else {
                // +I[total|day|key, +I[orders, pay]]
                String[] fields = text.split("[|, \\[\\]]+");
                String name = fields[1].equals("per_day") ? fields[2] : fields[1];
                sums.merge(name + " orders", Long.parseLong(fields[fields.length - 2]), Long::sum);
                sums.merge(name + " pay", Long.parseLong(fields[fields.length - 1]), Long::sum);
            }
        }
        assertThat(sums)
                .hasToString(
                        "{2026-11-20 orders=5000, 2026-11-20 pay=24995000, 2026-11-21 orders=5000, 2026-11-21 pay=25000000,"
                                + " not-json=100, null-value=100, per_id orders=10000, per_id pay=49995000}");
    }

    @Test
    @Timeout(180)
    void nothingIsReadFarAheadOfWhoeverAddsThePartialsUp() throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism(1);
        DataStream<RowData> rows = env.fromSequence(0, 99_999)
                .map(
                        n -> {
                            SlowToStart.READ.incrementAndGet();
                            return (RowData) GenericRowData.of(StringData.fromString("D" + n % 10), 20_000, 1);
                        },
                        InternalTypeInfo.of(RECORD));
        DataStream<Row> partials = rows.transform(
                "combine",
                Combiner.outputType(new String[] {"orders"}),
                new Combiner(30, new String[] {"per_id"}, new int[] {1}, new int[] {0}, new int[0]));
        long orders = 0;
        try (var iterator =
                partials.keyBy(row -> row.getField(0)).map(new SlowToStart()).executeAndCollect()) {
            while (iterator.hasNext()) {
                orders += iterator.next();
            }
        }
        assertThat(SlowToStart.readWhenOpen).isEqualTo(Combiner.HEAD_START);
        assertThat(orders).isEqualTo(100_000);
    }

    /** As a Python worker: long after the rest of the job has begun, it is ready. */
    private static final class SlowToStart extends RichMapFunction<Row, Long> {
        private static final long serialVersionUID = 1L;
        private static final AtomicLong READ = new AtomicLong();
        private static volatile long readWhenOpen;

        @Override
        public void open(OpenContext context) throws InterruptedException {
            Thread.sleep(3_000);
            readWhenOpen = READ.get();
        }

        @Override
        public Long map(Row partial) {
            return ((Row) partial.getField(1)).<Long>getFieldAs(0);
        }
    }

    private static RowData withOrigin(RowData decoded, long offset) {
        GenericRowData row = new GenericRowData(8);
        for (int i = 0; i < 5; i++) {
            row.setField(i, ((GenericRowData) decoded).getField(i));
        }
        row.setField(5, StringData.fromString("orders"));
        row.setField(6, 0);
        row.setField(7, offset);
        return row;
    }
}
