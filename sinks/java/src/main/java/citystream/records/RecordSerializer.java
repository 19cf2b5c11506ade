package citystream.records;

import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.table.data.RowData;

/** Rows of key (STRING), value (STRING) and timestamp in ms (BIGINT) as the records that they are. */
public final class RecordSerializer implements KafkaRecordSerializationSchema<RowData> {
    private static final long serialVersionUID = 1L;

    private final String topic;

    public RecordSerializer(String topic) {
        this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(RowData row, KafkaSinkContext context, Long timestamp) {
        return new ProducerRecord<>(
                topic,
                null,
                row.getLong(2),
                row.getString(0).toBytes(),
                row.getString(1).toBytes());
    }
}
