package citystream.records;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.JsonParserRowDataDeserializationSchema;
import org.apache.flink.formats.json.JsonRowDataDeserializationSchema;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.util.Collector;

/**
 * Decoding of orders, one thread, without Kafka: {@code record-json} and Flink's own JSON format by tree and by
 * Jackson's streaming parser. A command, not a test: {@code mvn test-compile}, then run {@code main} with the test
 * class path.
 */
public final class RecordJsonBenchmark {
    private static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("order_id", DataTypes.STRING()),
                    DataTypes.FIELD("ordered_at", DataTypes.TIMESTAMP_LTZ(3)),
                    DataTypes.FIELD("store_id", DataTypes.INT()),
                    DataTypes.FIELD("store_name", DataTypes.STRING()),
                    DataTypes.FIELD("category", DataTypes.STRING()),
                    DataTypes.FIELD("menu", DataTypes.STRING()),
                    DataTypes.FIELD("pay", DataTypes.INT()),
                    DataTypes.FIELD("delivery_charge", DataTypes.INT()),
                    DataTypes.FIELD("payment_method", DataTypes.STRING()),
                    DataTypes.FIELD("complex_id", DataTypes.STRING()),
                    DataTypes.FIELD("region", DataTypes.STRING()),
                    DataTypes.FIELD("address", DataTypes.STRING()),
                    DataTypes.FIELD("lat", DataTypes.DOUBLE()),
                    DataTypes.FIELD("lon", DataTypes.DOUBLE()))
            .getLogicalType();

    private RecordJsonBenchmark() {}

    private static byte[][] orders(int n) {
        byte[][] orders = new byte[n][];
        for (int i = 0; i < n; i++) {
            orders[i] = String.format(
                            Locale.ROOT,
                            "{\"order_id\":\"D42-0-%09d\",\"ordered_at\":\"2026-11-21T03:%02d:%02d.%03dZ\",\"store_id\":%d,"
                                    + "\"store_name\":\"수성 치킨 %d호점\",\"category\":\"치킨\",\"menu\":\"양념치킨\",\"pay\":%d,"
                                    + "\"delivery_charge\":3000,\"payment_method\":\"card\",\"complex_id\":%s,"
                                    + "\"region\":\"27260\",\"address\":\"대구광역시 수성구 달구벌대로 %d\",\"lat\":35.%06d,"
                                    + "\"lon\":128.%06d}",
                            i,
                            i / 60 % 60,
                            i % 60,
                            i % 1000,
                            i % 500,
                            i % 90,
                            9000 + i % 30000,
                            i % 10 == 0 ? "null" : "\"A1002" + (1000 + i % 700) + "\"",
                            i % 2000,
                            i % 1000000,
                            i * 7 % 1000000)
                    .getBytes(StandardCharsets.UTF_8);
        }
        return orders;
    }

    private static final class Last implements Collector<RowData> {
        long seen;

        @Override
        public void collect(RowData row) {
            seen += row.getInt(6);
        }

        @Override
        public void close() {}
    }

    public static void main(String[] args) throws Exception {
        byte[][] orders = orders(20_000);
        var type = InternalTypeInfo.of(COLUMNS);
        List<DeserializationSchema<RowData>> decoders = List.of(
                new RecordJsonDeserializationSchema(
                        COLUMNS, List.of("raw", "error"), List.of("complex_id"), 4096, type),
                new JsonParserRowDataDeserializationSchema(COLUMNS, type, false, false, TimestampFormat.ISO_8601),
                new JsonRowDataDeserializationSchema(COLUMNS, type, false, false, TimestampFormat.ISO_8601));
        System.out.println("bytes per record: " + orders[7].length);
        for (DeserializationSchema<RowData> decoder : decoders) {
            decoder.open(null);
        }
        for (int round = 0; round < 4; round++) {
            for (DeserializationSchema<RowData> decoder : decoders) {
                Last last = new Last();
                int repeats = decoder == decoders.get(0) ? 150 : 50;
                long start = System.nanoTime();
                for (int i = 0; i < repeats; i++) {
                    for (byte[] order : orders) {
                        decoder.deserialize(order, last);
                    }
                }
                double seconds = (System.nanoTime() - start) / 1e9;
                if (round > 0) {
                    System.out.printf(
                            "%-45s %,12.0f records/s (%d)%n",
                            decoder.getClass().getSimpleName(), repeats * orders.length / seconds, last.seen);
                }
            }
        }
    }
}
