package citystream.records;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.types.Row;

/** Rows of {@link DeadLetter#TYPE} as records of a dead-letter topic, each with its letter's key. */
public final class DeadLetterSerializer implements KafkaRecordSerializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private final String topic;

    public DeadLetterSerializer(String topic) {
        this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Row row, KafkaSinkContext context, Long timestamp) {
        DeadLetter letter = DeadLetter.of(row);
        return new ProducerRecord<>(topic, letter.key().getBytes(StandardCharsets.UTF_8), letter.json(Instant.now()));
    }
}
