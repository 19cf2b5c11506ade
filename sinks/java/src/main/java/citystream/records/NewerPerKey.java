package citystream.records;

import citystream.state.TimeToLive;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.util.Collector;

/**
 * A row goes on if its time is newer than that of every row of its key before it; else it is dropped and counted as
 * {@code unchanged} in the metric group {@code citystream}. Rows of a key stay in their order.
 *
 * <p>Rows without a time go on and change nothing: whether they are newer is another's to judge.
 *
 * <p>State: {@code newest}, one long per key, kept for the time to live after the newest row came; the key is a
 * {@link StringData}. Both may not change without losing what a savepoint knows. Setting another time to live on
 * restore is fine.
 */
public final class NewerPerKey extends KeyedProcessFunction<StringData, RowData, RowData> {
    private static final long serialVersionUID = 1L;

    private final int timeIndex;
    private final long ttlMillis;

    private transient ValueState<Long> newest;
    private transient Counter unchanged;

    /** @param timeIndex a TIMESTAMP_LTZ(3) column */
    public NewerPerKey(int timeIndex, long ttlMillis) {
        this.timeIndex = timeIndex;
        this.ttlMillis = TimeToLive.positive(ttlMillis);
    }

    @Override
    public void open(OpenContext context) {
        ValueStateDescriptor<Long> descriptor = new ValueStateDescriptor<>("newest", Types.LONG);
        descriptor.enableTimeToLive(TimeToLive.of(ttlMillis));
        newest = getRuntimeContext().getState(descriptor);
        unchanged = getRuntimeContext().getMetricGroup().addGroup("citystream").counter("unchanged");
    }

    @Override
    public void processElement(RowData row, Context context, Collector<RowData> out) throws Exception {
        if (row.isNullAt(timeIndex)) {
            out.collect(row);
            return;
        }
        long time = row.getTimestamp(timeIndex, 3).getMillisecond();
        Long known = newest.value();
        if (known == null || time > known) {
            newest.update(time);
            out.collect(row);
        } else {
            unchanged.inc();
        }
    }
}
