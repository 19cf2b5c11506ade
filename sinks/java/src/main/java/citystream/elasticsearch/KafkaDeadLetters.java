package citystream.elasticsearch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.Producer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.util.ByteArrayBuilder;

/**
 * Dead letters on a Kafka topic, acknowledged by all replicas. The producer is made with the first of them, on a
 * thread of its own, because Kafka's {@code send} blocks while no broker answers.
 */
final class KafkaDeadLetters implements DeadLetters {

    /** Of a larger document only the beginning is kept, so that its letter passes a broker's 1 MB limit. */
    static final int MAX_RAW_BYTES = 512 * 1024;

    private static final JsonFactory JSON = new JsonFactory();
    private static final DateTimeFormatter MILLISECONDS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private final String topic;
    private final Supplier<Producer<byte[], byte[]>> connect;
    private final ExecutorService thread;
    private Producer<byte[], byte[]> producer;

    KafkaDeadLetters(String bootstrapServers, String topic) {
        this(topic, () -> new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers, "acks", "all", "enable.idempotence", true,
                        "max.block.ms", 20_000, "delivery.timeout.ms", 60_000, "request.timeout.ms", 20_000),
                new ByteArraySerializer(), new ByteArraySerializer()));
    }

    KafkaDeadLetters(String topic, Supplier<Producer<byte[], byte[]>> connect) {
        this.topic = topic;
        this.connect = connect;
        this.thread = Executors.newSingleThreadExecutor(task -> {
            Thread made = new Thread(task, "elasticsearch-dead-letters");
            made.setDaemon(true);
            return made;
        });
    }

    @Override
    public CompletableFuture<Void> send(Document document, String detail) {
        CompletableFuture<Void> stored = new CompletableFuture<>();
        thread.execute(() -> {
            try {
                if (producer == null) {
                    producer = connect.get();
                }
                byte[] key = document.id().getBytes(StandardCharsets.UTF_8);
                byte[] letter = letter(document, detail, Instant.now());
                producer.send(new ProducerRecord<>(topic, key, letter), (metadata, error) -> {
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

    static byte[] letter(Document document, String detail, Instant seenAt) {
        byte[] raw = document.body();
        String why = detail;
        if (raw.length > MAX_RAW_BYTES) {
            why += " (raw_base64 holds the first " + MAX_RAW_BYTES + " of " + raw.length + " bytes)";
            raw = Arrays.copyOf(raw, MAX_RAW_BYTES);
        }
        Document.Source source = document.source();
        try (ByteArrayBuilder bytes = new ByteArrayBuilder();
                JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            json.writeStringField("reason", "document-rejected");
            json.writeStringField("detail", why);
            json.writePOJOField("topic", source.topic());
            json.writePOJOField("partition", source.partition());
            json.writePOJOField("offset", source.offset());
            json.writeStringField("raw_base64", Base64.getEncoder().encodeToString(raw));
            json.writeStringField("seen_at", MILLISECONDS.format(seenAt));
            json.writeEndObject();
            json.flush();
            return bytes.toByteArray();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
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
