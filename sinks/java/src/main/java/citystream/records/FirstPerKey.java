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
 * The first row per key goes on; the same key again within the time to live is dropped and counted as
 * {@code duplicates} in the metric group {@code citystream}. The time runs from the first row: repeats don't prolong
 * it.
 *
 * <p>Rows with the empty key (see {@link FieldKey}) all go on: what has no id can't be a duplicate.
 *
 * <p>State: {@code seen}, one boolean per key with a time to live; the key is a {@link StringData}. Both may not change
 * without losing what a savepoint knows. Setting another time to live on restore is fine.
 */
public final class FirstPerKey extends KeyedProcessFunction<StringData, RowData, RowData> {
    private static final long serialVersionUID = 1L;

    private final long ttlMillis;

    private transient ValueState<Boolean> seen;
    private transient Counter duplicates;

    public FirstPerKey(long ttlMillis) {
        this.ttlMillis = TimeToLive.positive(ttlMillis);
    }

    @Override
    public void open(OpenContext context) {
        ValueStateDescriptor<Boolean> descriptor = new ValueStateDescriptor<>("seen", Types.BOOLEAN);
        descriptor.enableTimeToLive(TimeToLive.of(ttlMillis));
        seen = getRuntimeContext().getState(descriptor);
        duplicates = getRuntimeContext().getMetricGroup().addGroup("citystream").counter("duplicates");
    }

    @Override
    public void processElement(RowData row, Context context, Collector<RowData> out) throws Exception {
        if (context.getCurrentKey().equals(FieldKey.NONE)) {
            out.collect(row);
        } else if (seen.value() == null) {
            seen.update(Boolean.TRUE);
            out.collect(row);
        } else {
            duplicates.inc();
        }
    }
}
