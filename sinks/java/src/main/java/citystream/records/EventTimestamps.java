package citystream.records;

import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.RowData;

/**
 * Gives each row the time in a TIMESTAMP_LTZ(3) column as its timestamp. Watermarks pass as they come from the source,
 * one per partition, which Flink's own assigner would replace by its own.
 */
public final class EventTimestamps extends AbstractStreamOperator<RowData>
        implements OneInputStreamOperator<RowData, RowData> {
    private static final long serialVersionUID = 1L;

    private final int timeIndex;

    /** @param timeIndex the column, never null */
    public EventTimestamps(int timeIndex) {
        this.timeIndex = timeIndex;
    }

    @Override
    public void processElement(StreamRecord<RowData> element) {
        RowData row = element.getValue();
        output.collect(element.replace(row, row.getTimestamp(timeIndex, 3).getMillisecond()));
    }
}
