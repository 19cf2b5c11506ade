package citystream.records;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.types.Row;

/**
 * Why a record can't be used, and the record: the one place where a dead letter gets its form, whoever refuses.
 *
 * <p>A letter is never larger than {@link #MAX_BYTES}, whatever it holds: texts are cut, and so is the record, with a
 * note in the detail.
 *
 * @param reason a word from code, by which letters are counted
 * @param detail what was found where
 * @param topic where the record lies; null where that is not known, as for a sum of many, then {@code partition} and
 *     {@code offset} are too
 * @param raw its value; null for a tombstone
 */
public record DeadLetter(String reason, String detail, String topic, Integer partition, Long offset, byte[] raw) {

    /** What a dead-letter topic takes as one message: key, value and Kafka's own few bytes. */
    public static final int MAX_BYTES = 4 * 1024 * 1024;

    /** In base64 these are 4,000,000; the rest of a letter, at most 10,000. */
    static final int MAX_RAW_BYTES = 3_000_000;

    /** Of each text, in UTF-8 and escaped: a control character takes six. */
    static final int MAX_TEXT_BYTES = 2_000;

    /** A letter on its way from whoever refuses to the sink, in this order. */
    public static final TypeInformation<Row> TYPE = Types.ROW_NAMED(
            new String[] {"reason", "detail", "topic", "partition", "offset", "raw"},
            Types.STRING,
            Types.STRING,
            Types.STRING,
            Types.INT,
            Types.LONG,
            Types.PRIMITIVE_ARRAY(Types.BYTE));

    private static final DateTimeFormatter SEEN_AT =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    public DeadLetter {
        detail = detail == null ? "" : detail;
    }

    static DeadLetter of(Row row) {
        return new DeadLetter(
                row.getFieldAs(0),
                row.getFieldAs(1),
                row.getFieldAs(2),
                row.getFieldAs(3),
                row.getFieldAs(4),
                row.getFieldAs(5));
    }

    Row row() {
        return Row.of(reason, detail, topic, partition, offset, raw);
    }

    /** {@code topic|partition|offset}: the same for the same record, however often it is read. */
    public String key() {
        return topic + '|' + partition + '|' + offset;
    }

    /** {@code {"reason", "detail", "topic", "partition", "offset", "raw_base64", "seen_at"}} in UTF-8. */
    public byte[] json(Instant seenAt) {
        String note = "";
        byte[] kept = raw;
        if (raw != null && raw.length > MAX_RAW_BYTES) {
            note = " (raw cut to its first " + MAX_RAW_BYTES + " of " + raw.length + " bytes)";
            kept = Arrays.copyOf(raw, MAX_RAW_BYTES);
        }
        StringBuilder json = new StringBuilder(300 + (kept == null ? 0 : kept.length / 3 * 4));
        json.append("{\"reason\":\"");
        text(json, reason);
        json.append("\",\"detail\":\"");
        text(json, detail);
        json.append(note).append("\",\"topic\":");
        if (topic == null) {
            json.append("null");
        } else {
            json.append('"');
            text(json, topic);
            json.append('"');
        }
        json.append(",\"partition\":").append(partition).append(",\"offset\":").append(offset);
        json.append(",\"raw_base64\":");
        if (kept == null) {
            json.append("null");
        } else {
            json.append('"').append(Base64.getEncoder().encodeToString(kept)).append('"');
        }
        json.append(",\"seen_at\":\"");
        SEEN_AT.formatTo(seenAt, json);
        return json.append("\"}").toString().getBytes(StandardCharsets.UTF_8);
    }

    /** The text as it stands in a JSON string, cut to {@link #MAX_TEXT_BYTES} between two characters. */
    private static void text(StringBuilder json, String text) {
        int left = MAX_TEXT_BYTES;
        for (int i = 0, next; i < text.length(); i = next) {
            int c = text.codePointAt(i);
            next = i + Character.charCount(c);
            boolean control = c < 0x20;
            boolean quoted = c == '"' || c == '\\';
            left -= control ? 6 : quoted ? 2 : c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            if (left < 0) {
                json.append('…');
                return;
            }
            if (control) {
                json.append(String.format("\\u%04x", c));
            } else if (quoted) {
                json.append('\\').append((char) c);
            } else {
                json.appendCodePoint(c);
            }
        }
    }
}
