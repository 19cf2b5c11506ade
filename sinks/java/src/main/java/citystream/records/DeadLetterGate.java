package citystream.records;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Rows without an error go on as they are; the others leave through {@link #DEAD_LETTERS}, one {@link DeadLetter} each.
 *
 * <p>An error reads {@code <reason>: <detail>}, whether the decoder or a rule in SQL wrote it. Metrics, in the group
 * {@code citystream}: {@code decoded}, {@code dead_lettered} per {@code reason}, and {@code late}. Late is not a
 * failure: a late row is counted and goes on.
 */
public final class DeadLetterGate extends ProcessFunction<RowData, RowData> {
    private static final long serialVersionUID = 1L;

    public static final OutputTag<Row> DEAD_LETTERS = new OutputTag<>("dead-letters", DeadLetter.TYPE);

    /** Reasons come from code, but should one carry data, it must not flood the metric system. */
    private static final int MAX_REASONS = 64;

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
            context.output(DEAD_LETTERS, letter(row, reason, detail).row());
        }
    }

    private void count(String reason) {
        Counter counter = deadLettered.get(reason);
        if (counter == null) {
            String name = deadLettered.size() < MAX_REASONS ? reason : "other";
            counter = deadLettered.computeIfAbsent(
                    name, r -> group.addGroup("reason", r).counter("dead_lettered"));
        }
        counter.inc();
    }

    private DeadLetter letter(RowData row, String reason, String detail) {
        return new DeadLetter(
                reason,
                detail,
                row.isNullAt(topicIndex) ? null : row.getString(topicIndex).toString(),
                row.isNullAt(partitionIndex) ? null : row.getInt(partitionIndex),
                row.isNullAt(offsetIndex) ? null : row.getLong(offsetIndex),
                row.isNullAt(rawIndex) ? null : row.getBinary(rawIndex));
    }
}
