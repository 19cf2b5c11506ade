package citystream.records;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Rows without an error go on as they are; the others leave through {@link #DEAD_LETTERS}, one JSON object each:
 * {@code reason, detail, topic, partition, offset, raw_base64, seen_at}.
 *
 * <p>An error reads {@code <reason>: <detail>}, whether the decoder or a rule in SQL wrote it. Metrics, in the group
 * {@code citystream}: {@code decoded}, {@code dead_lettered} per {@code reason}, and {@code late}. Late is not a failure:
 * a late row is counted and goes on.
 */
public final class DeadLetterGate extends ProcessFunction<RowData, RowData> {
    private static final long serialVersionUID = 1L;

    public static final OutputTag<String> DEAD_LETTERS = new OutputTag<>("dead-letters", Types.STRING);

    /** A longer record is cut, so that its letter in base64 stays below 4 MB. */
    static final int MAX_RAW_BYTES = 2_900_000;

    /** Reasons come from code, but should one carry data, it must not flood the metric system. */
    private static final int MAX_REASONS = 64;

    private static final DateTimeFormatter SEEN_AT =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private final int errorIndex;
    private final int rawIndex;
    private final int topicIndex;
    private final int partitionIndex;
    private final int offsetIndex;
    private final int timeIndex;
    private final long lateAfterMillis;

    private transient MetricGroup group;
    private transient Counter decoded;
    private transient Counter late;
    private transient Map<String, Counter> deadLettered;

    /**
     * @param timeIndex the event time, TIMESTAMP_LTZ(3), or -1 to count no late rows
     * @param lateAfterMillis a row is late when its event time is further in the past than this
     */
    public DeadLetterGate(
            int errorIndex,
            int rawIndex,
            int topicIndex,
            int partitionIndex,
            int offsetIndex,
            int timeIndex,
            long lateAfterMillis) {
        this.errorIndex = errorIndex;
        this.rawIndex = rawIndex;
        this.topicIndex = topicIndex;
        this.partitionIndex = partitionIndex;
        this.offsetIndex = offsetIndex;
        this.timeIndex = timeIndex;
        this.lateAfterMillis = lateAfterMillis;
    }

    @Override
    public void open(OpenContext context) {
        group = getRuntimeContext().getMetricGroup().addGroup("citystream");
        decoded = group.counter("decoded");
        late = group.counter("late");
        deadLettered = new HashMap<>();
    }

    @Override
    public void processElement(RowData row, Context context, Collector<RowData> out) {
        if (row.isNullAt(errorIndex)) {
            decoded.inc();
            if (timeIndex >= 0
                    && !row.isNullAt(timeIndex)
                    && row.getTimestamp(timeIndex, 3).getMillisecond()
                            < context.timerService().currentProcessingTime() - lateAfterMillis) {
                late.inc();
            }
            out.collect(row);
        } else {
            String error = row.getString(errorIndex).toString();
            int colon = error.indexOf(": ");
            String reason = colon < 0 ? error : error.substring(0, colon);
            String detail = colon < 0 ? "" : error.substring(colon + 2);
            count(reason);
            context.output(DEAD_LETTERS, letter(row, reason, detail, context.timerService().currentProcessingTime()));
        }
    }

    private void count(String reason) {
        Counter counter = deadLettered.get(reason);
        if (counter == null) {
            String name = deadLettered.size() < MAX_REASONS ? reason : "other";
            counter = deadLettered.computeIfAbsent(name, r -> group.addGroup("reason", r).counter("dead_lettered"));
        }
        counter.inc();
    }

    private String letter(RowData row, String reason, String detail, long now) {
        byte[] raw = row.isNullAt(rawIndex) ? null : row.getBinary(rawIndex);
        String encoded = null;
        if (raw != null) {
            if (raw.length > MAX_RAW_BYTES) {
                detail += " (raw cut to its first " + MAX_RAW_BYTES + " of " + raw.length + " bytes)";
                raw = Arrays.copyOf(raw, MAX_RAW_BYTES);
            }
            encoded = new String(Base64.getEncoder().encode(raw), StandardCharsets.ISO_8859_1);
        }
        StringBuilder json = new StringBuilder(200 + (encoded == null ? 0 : encoded.length()));
        json.append("{\"reason\":");
        quote(json, reason);
        json.append(",\"detail\":");
        quote(json, detail);
        json.append(",\"topic\":");
        if (row.isNullAt(topicIndex)) {
            json.append("null");
        } else {
            quote(json, row.getString(topicIndex).toString());
        }
        json.append(",\"partition\":");
        json.append(row.isNullAt(partitionIndex) ? null : Integer.toString(row.getInt(partitionIndex)));
        json.append(",\"offset\":");
        json.append(row.isNullAt(offsetIndex) ? null : Long.toString(row.getLong(offsetIndex)));
        json.append(",\"raw_base64\":");
        if (encoded == null) {
            json.append("null");
        } else {
            json.append('"').append(encoded).append('"');
        }
        json.append(",\"seen_at\":\"");
        SEEN_AT.formatTo(Instant.ofEpochMilli(now), json);
        return json.append("\"}").toString();
    }

    private static void quote(StringBuilder json, String text) {
        json.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        json.append('"');
    }
}
