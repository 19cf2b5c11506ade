package citystream.elasticsearch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;

import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.MockProducer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

class KafkaDeadLettersTest {

    private static final Document DOCUMENT = new Document(
            "a", 1, "{\"pay\":\"x\"}".getBytes(StandardCharsets.UTF_8), new Document.Source("deliveries", 2, 3L), 0);

    private static MockProducer<byte[], byte[]> producer() {
        return new MockProducer<>(false, null, new ByteArraySerializer(), new ByteArraySerializer());
    }

    @Test
    void aLetterHoldsReasonPositionAndBody() throws Exception {
        assertThat(new String(KafkaDeadLetters.letter(DOCUMENT, "why", Instant.parse("2026-11-21T00:00:00Z")), StandardCharsets.UTF_8))
                .isEqualTo("{\"reason\":\"document-rejected\",\"detail\":\"why\",\"topic\":\"deliveries\",\"partition\":2,"
                        + "\"offset\":3,\"raw_base64\":\"eyJwYXkiOiJ4In0=\",\"seen_at\":\"2026-11-21T00:00:00.000Z\"}");
        Document unknown = new Document("a", 1, new byte[0], Document.Source.UNKNOWN, 0);
        JsonNode letter = new ObjectMapper().readTree(KafkaDeadLetters.letter(unknown, "why", Instant.now()));
        assertThat(letter.get("topic").isNull() && letter.get("partition").isNull() && letter.get("offset").isNull()).isTrue();
    }

    @Test
    void ofAHugeDocumentTheBeginningIsKept() throws Exception {
        Document huge = new Document("a", 1, new byte[2_000_000], Document.Source.UNKNOWN, 0);
        byte[] bytes = KafkaDeadLetters.letter(huge, "why", Instant.now());
        assertThat(bytes).hasSizeLessThan(1_000_000);
        JsonNode letter = new ObjectMapper().readTree(bytes);
        assertThat(Base64.getDecoder().decode(letter.get("raw_base64").asText())).hasSize(KafkaDeadLetters.MAX_RAW_BYTES);
        assertThat(letter.get("detail").asText()).contains("of 2000000 bytes");
    }

    @Test
    void isStoredWhenTheBrokersSaySo() throws Exception {
        MockProducer<byte[], byte[]> producer = producer();
        try (KafkaDeadLetters letters = new KafkaDeadLetters("deliveries.dead-letters", () -> producer)) {
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
        try (KafkaDeadLetters letters = new KafkaDeadLetters("t", () -> {
            throw new IllegalStateException("no broker");
        })) {
            assertThat(letters.send(DOCUMENT, "why")).failsWithin(Duration.ofSeconds(5));
        }
    }
}
