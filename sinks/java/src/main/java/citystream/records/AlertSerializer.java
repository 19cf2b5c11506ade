package citystream.records;

import org.apache.flink.api.common.serialization.SerializationSchema.InitializationContext;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.JsonFormatOptions.MapNullKeyMode;
import org.apache.flink.formats.json.JsonRowDataSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * Rows as records: a JSON object of all columns, under the first one, a STRING, as the key. Times are ISO 8601, UTC.
 */
public final class AlertSerializer implements KafkaRecordSerializationSchema<RowData> {
    private static final long serialVersionUID = 1L;

    private final String topic;
    private final JsonRowDataSerializationSchema json;

    public AlertSerializer(String topic, RowType row) {
        this.topic = topic;
        this.json = new JsonRowDataSerializationSchema(
                row, TimestampFormat.ISO_8601, MapNullKeyMode.FAIL, "", false, false);
    }

    @Override
    public void open(InitializationContext context, KafkaSinkContext sink) throws Exception {
        json.open(context);
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(RowData row, KafkaSinkContext context, Long timestamp) {
        return new ProducerRecord<>(topic, row.getString(0).toBytes(), json.serialize(row));
    }
}
