package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.SourceTransformation;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.catalog.CatalogTable;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ObjectIdentifier;
import org.apache.flink.table.catalog.ResolvedCatalogTable;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsReadingMetadata;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.runtime.connector.source.ScanRuntimeProviderContext;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.Test;

/** The format inside Kafka's own table source, as a DDL puts it together; only the broker is missing. */
class KafkaWiringTest {
    private static final List<Column> COLUMNS = List.of(
            Column.physical("id", DataTypes.STRING()),
            Column.physical("pay", DataTypes.INT()),
            Column.metadata("raw", DataTypes.BYTES(), "value.raw", true),
            Column.metadata("error", DataTypes.STRING(), "value.error", true),
            Column.metadata("topic", DataTypes.STRING(), null, true),
            Column.metadata("offset", DataTypes.BIGINT(), null, true));

    private static ScanTableSource source(Map<String, String> more) {
        Map<String, String> options = new HashMap<>();
        options.put("connector", "kafka");
        options.put("topic", "deliveries");
        options.put("properties.bootstrap.servers", "localhost:1");
        options.put("scan.startup.mode", "earliest-offset");
        options.put("value.format", "record-json");
        options.putAll(more);
        ResolvedCatalogTable table = new ResolvedCatalogTable(
                CatalogTable.newBuilder()
                        .schema(Schema.newBuilder().build())
                        .options(options)
                        .build(),
                ResolvedSchema.of(COLUMNS));
        return (ScanTableSource) FactoryUtil.createDynamicTableSource(
                null,
                ObjectIdentifier.of("c", "d", "deliveries"),
                table,
                Map.of(),
                new Configuration(),
                KafkaWiringTest.class.getClassLoader(),
                false);
    }

    /** What Kafka's source does with one record. */
    private static KafkaRecordDeserializationSchema<RowData> decoder() throws Exception {
        ScanTableSource source = source(Map.of("value.record-json.optional", "pay"));
        SupportsReadingMetadata readable = (SupportsReadingMetadata) source;
        assertThat(readable.listReadableMetadata()).containsKeys("value.raw", "value.error", "topic", "offset");
        readable.applyReadableMetadata(
                List.of("value.raw", "value.error", "topic", "offset"),
                DataTypes.ROW(
                        DataTypes.FIELD("id", DataTypes.STRING()),
                        DataTypes.FIELD("pay", DataTypes.INT()),
                        DataTypes.FIELD("value.raw", DataTypes.BYTES()),
                        DataTypes.FIELD("value.error", DataTypes.STRING()),
                        DataTypes.FIELD("topic", DataTypes.STRING()),
                        DataTypes.FIELD("offset", DataTypes.BIGINT())));
        DataStreamScanProvider provider =
                (DataStreamScanProvider) source.getScanRuntimeProvider(new ScanRuntimeProviderContext());
        var stream = provider.produceDataStream(
                new ProviderContext() {
                    @Override
                    public Optional<String> generateUid(String name) {
                        return Optional.of(name);
                    }
                },
                StreamExecutionEnvironment.getExecutionEnvironment());
        Source<RowData, ?, ?> kafka = ((SourceTransformation<RowData, ?, ?>) stream.getTransformation()).getSource();
        Field field = KafkaSource.class.getDeclaredField("deserializationSchema");
        field.setAccessible(true);
        @SuppressWarnings("unchecked")
        var schema = (KafkaRecordDeserializationSchema<RowData>) field.get(kafka);
        schema.open(null);
        return schema;
    }

    private static final class Rows implements Collector<RowData> {
        final List<RowData> rows = new ArrayList<>();

        @Override
        public void collect(RowData row) {
            rows.add(row);
        }

        @Override
        public void close() {}
    }

    @Test
    void everyRecordIsOneRowWithItsMetadata() throws Exception {
        KafkaRecordDeserializationSchema<RowData> decoder = decoder();
        byte[][] values = {
            "{\"id\":\"A\",\"pay\":5}".getBytes(StandardCharsets.UTF_8),
            "{\"id\":\"A\"".getBytes(StandardCharsets.UTF_8),
            new byte[0],
            null,
            "{\"id\":\"B\"}".getBytes(StandardCharsets.UTF_8)
        };
        Rows rows = new Rows();
        for (int i = 0; i < values.length; i++) {
            decoder.deserialize(new ConsumerRecord<>("deliveries", 0, 100 + i, null, values[i]), rows);
            assertThat(rows.rows).hasSize(i + 1);
            RowData row = rows.rows.get(i);
            assertThat(row.getArity()).isEqualTo(6);
            assertThat(row.isNullAt(2) ? null : row.getBinary(2)).isSameAs(values[i]);
            assertThat(row.getString(4)).hasToString("deliveries");
            assertThat(row.getLong(5)).isEqualTo(100 + i);
        }
        assertThat(rows.rows.get(0).getString(0)).hasToString("A");
        assertThat(rows.rows.get(0).getInt(1)).isEqualTo(5);
        assertThat(rows.rows.get(0).isNullAt(3)).isTrue();
        assertThat(rows.rows.get(1).getString(3).toString()).startsWith("not-json: ");
        assertThat(rows.rows.get(2).getString(3).toString()).startsWith("empty: ");
        assertThat(rows.rows.get(3).getString(3).toString()).startsWith("null-value: ");
        assertThat(rows.rows.get(4).isNullAt(3)).isTrue();
        assertThat(rows.rows.get(4).isNullAt(1)).isTrue();
    }

    @Test
    void aWrongOptionIsRefused() {
        assertThatThrownBy(() -> source(Map.of("value.record-json.optional", "id;complex")))
                .hasRootCauseInstanceOf(ValidationException.class)
                .rootCause()
                .hasMessageContaining("'complex', which is not a column; the columns are [id, pay]");
        assertThatThrownBy(() -> source(Map.of("value.record-json.max-string-bytes", "0")))
                .rootCause()
                .hasMessageContaining("must be at least 1");
        assertThatThrownBy(() -> source(Map.of("value.record-json.nonsense", "1")))
                .rootCause()
                .hasMessageContaining("nonsense");
    }
}
