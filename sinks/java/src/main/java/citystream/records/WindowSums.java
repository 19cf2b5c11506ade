package citystream.records;

import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.util.Collector;

/**
 * Whole-number sums over a window of rows. The accumulator is the count of rows, then the sums. Sums that leave the
 * range of a long fail the job rather than wrap.
 */
public final class WindowSums implements AggregateFunction<RowData, long[], long[]> {
    private static final long serialVersionUID = 1L;

    private final int[] sumIndexes;

    /** @param sumIndexes BIGINT columns to add up, never null */
    public WindowSums(int[] sumIndexes) {
        this.sumIndexes = sumIndexes.clone();
    }

    @Override
    public long[] createAccumulator() {
        return new long[1 + sumIndexes.length];
    }

    @Override
    public long[] add(RowData row, long[] sums) {
        sums[0]++;
        for (int i = 0; i < sumIndexes.length; i++) {
            sums[1 + i] = Math.addExact(sums[1 + i], row.getLong(sumIndexes[i]));
        }
        return sums;
    }

    @Override
    public long[] getResult(long[] sums) {
        return sums;
    }

    @Override
    public long[] merge(long[] a, long[] b) {
        long[] merged = new long[a.length];
        for (int i = 0; i < a.length; i++) {
            merged[i] = Math.addExact(a[i], b[i]);
        }
        return merged;
    }

    /**
     * A window as a row: key, the window's start, the sums, and as the version the count of rows, which only grows
     * while late rows are added.
     */
    public static final class AsRow implements WindowFunction<long[], RowData, StringData, TimeWindow> {
        private static final long serialVersionUID = 1L;

        /** The type of the rows; {@code sums} names the sums. */
        public static TypeInformation<RowData> type(String key, String start, String[] sums) {
            LogicalType[] types = new LogicalType[3 + sums.length];
            String[] names = new String[types.length];
            types[0] = VarCharType.STRING_TYPE.copy(false);
            names[0] = key;
            types[1] = new LocalZonedTimestampType(false, 3);
            names[1] = start;
            for (int i = 0; i < sums.length; i++) {
                types[2 + i] = new BigIntType(false);
                names[2 + i] = sums[i];
            }
            types[2 + sums.length] = new BigIntType(false);
            names[2 + sums.length] = "version";
            return InternalTypeInfo.ofFields(types, names);
        }

        @Override
        public void apply(StringData key, TimeWindow window, Iterable<long[]> results, Collector<RowData> out) {
            for (long[] sums : results) {
                GenericRowData row = new GenericRowData(2 + sums.length);
                row.setField(0, key);
                row.setField(1, TimestampData.fromEpochMillis(window.getStart()));
                for (int i = 1; i < sums.length; i++) {
                    row.setField(1 + i, sums[i]);
                }
                row.setField(1 + sums.length, sums[0]);
                out.collect(row);
            }
        }
    }
}
