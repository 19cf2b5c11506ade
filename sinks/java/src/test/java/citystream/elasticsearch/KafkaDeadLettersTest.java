package citystream.elasticsearch;

import static org.assertj.core.api.Assertions.assertThat;

import citystream.records.DeadLetter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.MockProducer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;

class KafkaDeadLettersTest {

    private static final Document DOCUMENT = new Document(
            "a", 1, "{\"pay\":\"x\"}".getBytes(StandardCharsets.UTF_8), new Document.Source("deliveries", 2, 3L), 0);

    private static MockProducer<byte[], byte[]> producer() {
        return new MockProducer<>(false, null, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static ProducerRecord<byte[], byte[]> sent(Document document) throws Exception {
        MockProducer<byte[], byte[]> producer = producer();
        try (KafkaDeadLetters letters = new KafkaDeadLetters("deliveries.dead-letters", "deliveries", () -> producer)) {
            letters.send(document, "why");
            while (producer.history().isEmpty()) {
                Thread.sleep(5);
            }
        }
        return producer.history().get(0);
    }

    @Test
    void aLetterHoldsReasonPositionAndBody() throws Exception {
        assertThat(sent(DOCUMENT).value())
                .asString(StandardCharsets.UTF_8)
                .startsWith(
                        "{\"reason\":\"document-rejected\",\"detail\":\"why\",\"topic\":\"deliveries\",\"partition\":2,"
                                + "\"offset\":3,\"raw_base64\":\"eyJwYXkiOiJ4In0=\",\"seen_at\":\"20");
    }

    @Test
    void theSameRefusalHasTheSameKey() throws Exception {
        assertThat(sent(DOCUMENT).key()).asString(StandardCharsets.UTF_8).isEqualTo("deliveries|2|3|deliveries");
        Document sum = new Document("2026-11-21|치킨", 7, new byte[0], Document.Source.UNKNOWN, 0);
        assertThat(sent(sum).key()).asString(StandardCharsets.UTF_8).isEqualTo("deliveries|7|2026-11-21|치킨");
        Document endless = new Document("a".repeat(5_000_000), 7, new byte[5_000_000], Document.Source.UNKNOWN, 0);
        assertThat(sent(endless).key()).hasSize(36).isEqualTo(sent(endless).key());
        assertThat(sent(endless).value()).hasSizeLessThan(DeadLetter.MAX_BYTES - 100_000);
    }

    @Test
    void isStoredWhenTheBrokersSaySo() throws Exception {
        MockProducer<byte[], byte[]> producer = producer();
        try (KafkaDeadLetters letters = new KafkaDeadLetters("deliveries.dead-letters", "deliveries", () -> producer)) {
            CompletableFuture<Void> first = letters.send(DOCUMENT, "why");
            CompletableFuture<Void> second = letters.send(DOCUMENT, "why");
            while (producer.history().size() < 2) {
                Thread.sleep(5);
            }
            assertThat(first).isNotDone();
            producer.completeNext();
            assertThat(first).succeedsWithin(Duration.ofSeconds(5));
            producer.errorNext(new IllegalStateException("no replicas"));
            assertThat(second).failsWithin(Duration.ofSeconds(5));
            assertThat(producer.history().get(0).topic()).isEqualTo("deliveries.dead-letters");
        }
    }

    @Test
    void noProducerNoLetter() {
        try (KafkaDeadLetters letters = new KafkaDeadLetters("t", "i", () -> {
            throw new IllegalStateException("no broker");
        })) {
            assertThat(letters.send(DOCUMENT, "why")).failsWithin(Duration.ofSeconds(5));
        }
    }
}
