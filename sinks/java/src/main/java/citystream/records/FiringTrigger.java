package citystream.records;

import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.triggers.TriggerResult;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.table.data.RowData;

/**
 * Shows what a window holds at most {@code everyMillis} of processing time after a row came, late rows included, and
 * once more before it is forgotten. So a window is seen while it fills, whether or not a watermark ever comes again,
 * and a flood of late rows is one result per interval instead of one per row.
 */
public final class FiringTrigger extends Trigger<RowData, TimeWindow> {
    private static final long serialVersionUID = 1L;

    private final long everyMillis;

    public FiringTrigger(long everyMillis) {
        if (everyMillis <= 0) {
            throw new IllegalArgumentException("The interval must be positive, not " + everyMillis + " ms");
        }
        this.everyMillis = everyMillis;
    }

    @Override
    public TriggerResult onElement(RowData row, long timestamp, TimeWindow window, TriggerContext context) {
        // Equal times are one timer. One that is left when the window is forgotten finds nothing to show.
        context.registerProcessingTimeTimer((context.getCurrentProcessingTime() / everyMillis + 1) * everyMillis);
        return TriggerResult.CONTINUE;
    }

    @Override
    public TriggerResult onProcessingTime(long time, TimeWindow window, TriggerContext context) {
        return TriggerResult.FIRE;
    }

    /** The window is about to be forgotten, perhaps with rows that were not yet shown. */
    @Override
    public TriggerResult onEventTime(long time, TimeWindow window, TriggerContext context) {
        return TriggerResult.FIRE;
    }

    @Override
    public void clear(TimeWindow window, TriggerContext context) {
        // No state; timers see above.
    }
}
