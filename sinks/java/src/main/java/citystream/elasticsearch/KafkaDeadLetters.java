package citystream.elasticsearch;

import citystream.records.DeadLetter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.Producer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Dead letters on a Kafka topic, acknowledged by all replicas. The producer is made with the first of them, on a thread
 * of its own, because Kafka's {@code send} blocks while no broker answers.
 */
final class KafkaDeadLetters implements DeadLetters {

    /** A longer key is replaced by its hash: Elasticsearch refuses an id of more than 512 bytes. */
    private static final int MAX_KEY_BYTES = 1024;

    private final String topic;
    private final String index;
    private final Supplier<Producer<byte[], byte[]>> connect;
    private final ExecutorService thread;
    private Producer<byte[], byte[]> producer;

    KafkaDeadLetters(String bootstrapServers, String topic, String index) {
        this(
                topic,
                index,
                () -> new KafkaProducer<>(
                        properties(bootstrapServers), new ByteArraySerializer(), new ByteArraySerializer()));
    }

    KafkaDeadLetters(String topic, String index, Supplier<Producer<byte[], byte[]>> connect) {
        this.topic = topic;
        this.index = index;
        this.connect = connect;
        this.thread = Executors.newSingleThreadExecutor(task -> {
            Thread made = new Thread(task, "elasticsearch-dead-letters");
            made.setDaemon(true);
            return made;
        });
    }

    private static Properties properties(String bootstrapServers) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrapServers);
        properties.put("acks", "all");
        properties.put("enable.idempotence", true);
        properties.put("max.request.size", DeadLetter.MAX_BYTES);
        properties.put("max.block.ms", 20_000);
        properties.put("delivery.timeout.ms", 60_000);
        properties.put("request.timeout.ms", 20_000);
        return properties;
    }

    @Override
    public CompletableFuture<Void> send(Document document, String detail) {
        CompletableFuture<Void> stored = new CompletableFuture<>();
        thread.execute(() -> {
            try {
                if (producer == null) {
                    producer = connect.get();
                }
                Document.Source source = document.source();
                DeadLetter letter = new DeadLetter(
                        "document-rejected",
                        detail,
                        source.topic(),
                        source.partition(),
                        source.offset(),
                        document.body());
                byte[] value = letter.json(Instant.now());
                producer.send(new ProducerRecord<>(topic, key(document, letter), value), (metadata, error) -> {
                    if (error == null) {
                        stored.complete(null);
                    } else {
                        stored.completeExceptionally(error);
                    }
                });
            } catch (RuntimeException error) {
                stored.completeExceptionally(error);
            }
        });
        return stored;
    }

    /**
     * The same for the same refusal, however often it is written: the record's place and the index, which took another
     * document of it perhaps; where the record is not known, the document's id and version.
     */
    private byte[] key(Document document, DeadLetter letter) {
        String key = letter.topic() == null
                ? String.join("|", index, Long.toString(document.version()), document.id())
                : letter.key() + '|' + index;
        byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
        return bytes.length <= MAX_KEY_BYTES
                ? bytes
                : UUID.nameUUIDFromBytes(bytes).toString().getBytes(StandardCharsets.UTF_8);
    }

    /** Does not wait: what is not acknowledged is not counted as done either. */
    @Override
    public void close() {
        thread.execute(() -> {
            if (producer != null) {
                producer.close(Duration.ZERO);
            }
        });
        thread.shutdown();
    }
}
