package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Random;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.AbstractRecords;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.CompressionType;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.RecordBatch;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeadLetterTest {
    private static final Instant NOW = Instant.parse("2026-11-21T03:04:05.678Z");
    private static final int HUGE = 5_000_000;

    private static String json(DeadLetter letter) {
        return new String(letter.json(NOW), StandardCharsets.UTF_8);
    }

    private static JsonNode read(DeadLetter letter) throws Exception {
        return new ObjectMapper().readTree(letter.json(NOW));
    }

    /** What the producer, and then the broker, takes it for. */
    private static int size(DeadLetter letter) {
        ProducerRecord<byte[], byte[]> record =
                new DeadLetterSerializer("deliveries.dead-letters").serialize(letter.row(), null, null);
        return AbstractRecords.estimateSizeInBytesUpperBound(
                RecordBatch.CURRENT_MAGIC_VALUE,
                CompressionType.NONE,
                record.key(),
                record.value(),
                record.headers().toArray());
    }

    @Test
    void aLetterHoldsAllOfIt() {
        assertThat(json(new DeadLetter(
                        "wrong-type", "pay: \"5\" \\ \n\u0001 치킨 😀", "deliveries", 2, 4_000_000_000L, new byte[] {-1, 0
                        })))
                .isEqualTo(
                        "{\"reason\":\"wrong-type\",\"detail\":\"pay: \\\"5\\\" \\\\ \\u000a\\u0001 치킨 😀\",\"topic\":\"deliveries\","
                                + "\"partition\":2,\"offset\":4000000000,\"raw_base64\":\"/wA=\",\"seen_at\":\"2026-11-21T03:04:05.678Z\"}");
        assertThat(json(new DeadLetter("null-value", null, null, null, null, null)))
                .isEqualTo(
                        "{\"reason\":\"null-value\",\"detail\":\"\",\"topic\":null,\"partition\":null,\"offset\":null,"
                                + "\"raw_base64\":null,\"seen_at\":\"2026-11-21T03:04:05.678Z\"}");
    }

    @Test
    void theSameRecordHasTheSameKey() {
        DeadLetter letter = new DeadLetter("empty", "", "deliveries", 2, 3L, new byte[0]);
        assertThat(letter.key()).isEqualTo("deliveries|2|3");
        assertThat(DeadLetter.of(letter.row())).isEqualTo(letter);
        ProducerRecord<byte[], byte[]> record = new DeadLetterSerializer("t").serialize(letter.row(), null, null);
        assertThat(record.topic()).isEqualTo("t");
        assertThat(record.key()).asString(StandardCharsets.UTF_8).isEqualTo("deliveries|2|3");
        assertThat(record.value()).asString(StandardCharsets.UTF_8).startsWith("{\"reason\":\"empty\"");
    }

    @Test
    void ofAHugeRecordTheBeginningIsKept() throws Exception {
        byte[] raw = new byte[DeadLetter.MAX_RAW_BYTES + 1];
        Arrays.fill(raw, (byte) 7);
        JsonNode letter = read(new DeadLetter("not-json", "x", "t", 0, 0L, raw));
        assertThat(Base64.getDecoder().decode(letter.get("raw_base64").textValue()))
                .isEqualTo(Arrays.copyOf(raw, DeadLetter.MAX_RAW_BYTES));
        assertThat(letter.get("detail").textValue()).isEqualTo("x (raw cut to its first 3000000 of 3000001 bytes)");
        assertThat(read(new DeadLetter("not-json", "x", "t", 0, 0L, Arrays.copyOf(raw, DeadLetter.MAX_RAW_BYTES)))
                        .get("detail")
                        .textValue())
                .isEqualTo("x");
    }

    /** A control character takes six bytes in JSON, Hangul three, an emoji four, a lone surrogate is none. */
    @ParameterizedTest
    @ValueSource(strings = {"x", "\u0001", "\"", "\\", "é", "치", "😀", "\uD83D", "\uDE00\u0000é"})
    void noTextMakesALetterTooLarge(String repeated) throws Exception {
        String text = repeated.repeat(HUGE / repeated.length());
        DeadLetter letter = new DeadLetter(text, text, text, Integer.MAX_VALUE, Long.MAX_VALUE, new byte[HUGE]);
        assertThat(letter.json(NOW)).hasSizeLessThan(DeadLetter.MAX_BYTES - 100_000);
        JsonNode read = read(letter);
        assertThat(read.get("detail").textValue()).contains("… (raw cut to its first");
        String written =
                new String(repeated.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8); // a lone surrogate: ?
        assertThat(read.get("reason").textValue()).startsWith(written).endsWith("…");
    }

    @Test
    void whateverItHoldsALetterFitsItsTopicAndCanBeRead() throws Exception {
        Random dice = new Random(7);
        for (int i = 0; i < 300; i++) {
            byte[] raw = new byte[dice.nextInt(4) == 0 ? dice.nextInt(HUGE) : dice.nextInt(100)];
            dice.nextBytes(raw);
            String detail = new String(raw, dice.nextBoolean() ? StandardCharsets.UTF_8 : StandardCharsets.UTF_16BE);
            DeadLetter letter = new DeadLetter("not-json", detail, "deliveries", dice.nextInt(), dice.nextLong(), raw);
            assertThat(size(letter)).isLessThanOrEqualTo(DeadLetter.MAX_BYTES);
            JsonNode read = read(letter);
            assertThat(read.size()).isEqualTo(7);
            byte[] kept = read.get("raw_base64").binaryValue();
            assertThat(kept).isEqualTo(Arrays.copyOf(raw, Math.min(raw.length, DeadLetter.MAX_RAW_BYTES)));
        }
    }
}
