package citystream.records;

import citystream.state.TimeToLive;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Lets so many keys per second pass, each with all the rows that have come for it; a key that has passed holds no row
 * back any more. What may not pass yet waits in state, so that it holds back nobody else.
 *
 * <p>It smooths, and promises no rate: after a restore, whoever's time has come passes at once.
 *
 * <p>State: {@code waiting}, the rows of a key, and {@code passed}, whether it has, with a time to live.
 */
public final class Throttle extends KeyedProcessFunction<Row, Row, Row> {
    private static final long serialVersionUID = 1L;

    /** A key passes so long before its turn, so that there always is one to work on next. */
    static final long LEAD_MILLIS = 2_000;

    private final double keysPerSecond;
    private final long ttlMillis;
    private final TypeInformation<Row> rows;

    private transient ListState<Row> waiting;
    private transient ValueState<Boolean> passed;
    private transient double gapMillis;
    private transient double nextTurn;

    /**
     * @param keysPerSecond over all subtasks
     * @param ttlMillis how long a key that has passed is known
     * @param rows their type
     */
    public Throttle(double keysPerSecond, long ttlMillis, TypeInformation<Row> rows) {
        this.keysPerSecond = keysPerSecond;
        this.ttlMillis = TimeToLive.positive(ttlMillis);
        this.rows = rows;
    }

    @Override
    public void open(OpenContext context) {
        waiting = getRuntimeContext().getListState(new ListStateDescriptor<>("waiting", rows));
        ValueStateDescriptor<Boolean> descriptor = new ValueStateDescriptor<>("passed", Types.BOOLEAN);
        descriptor.enableTimeToLive(TimeToLive.of(ttlMillis));
        passed = getRuntimeContext().getState(descriptor);
        gapMillis = 1_000 * getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks() / keysPerSecond;
    }

    @Override
    public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
        Boolean known = passed.value();
        if (known == null) {
            long now = context.timerService().currentProcessingTime();
            double turn = Math.max(nextTurn, now);
            nextTurn = turn + gapMillis;
            known = turn <= now + LEAD_MILLIS;
            passed.update(known);
            if (!known) {
                context.timerService().registerProcessingTimeTimer((long) turn - LEAD_MILLIS);
            }
        }
        if (known) {
            out.collect(row);
        } else {
            waiting.add(row);
        }
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<Row> out) throws Exception {
        passed.update(true);
        for (Row row : waiting.get()) {
            out.collect(row);
        }
        waiting.clear();
    }
}
