package citystream.records;

import java.time.LocalDate;
import java.util.Arrays;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.InputTypeConfigurable;
import org.apache.flink.runtime.io.network.api.writer.ResultPartitionWriter;
import org.apache.flink.runtime.io.network.partition.ResultPartition;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;
import org.apache.flink.types.Row;

/**
 * Adds rows up before they are shuffled to Python: one partial sum per (total, bucket, key) and interval, instead of a
 * row per event. A partial is {@code Row(key STRING, sums Row(records LONG, sum LONG, ...))}, what a keyed Python
 * function takes: the key is total, bucket and key with {@link #SEPARATOR} between them. A bucket is a day (yyyy-MM-dd)
 * or a moment, such as that on which a minute began (milliseconds since 1970). {@code records} is how many rows were
 * added up: sums may be negative and may fall, the number of records only grows.
 *
 * <p>It has no state, and needs none: everything held is sent before a checkpoint's barrier, so a checkpoint never
 * finds a row in here, and what is replayed after a failure is exactly what was not yet counted. It also sends every
 * {@code everyMillis} of processing time, at the end of the input, and a total that has grown to {@link #MAX_KEYS}
 * keys.
 *
 * <p>Nothing of a row is kept (a new key is copied), so object reuse is safe. Sums that leave the range of a long fail
 * the job rather than wrap.
 */
public final class Combiner extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<RowData, Row>, BoundedOneInput, InputTypeConfigurable {
    private static final long serialVersionUID = 1L;

    /** So many keys in one total are sent at once, to bound the heap. */
    static final int MAX_KEYS = 100_000;

    /**
     * A bucket never holds it and a total's name must not; what comes after the second is the key, whatever it holds.
     */
    static final char SEPARATOR = '|';

    /** In place of a moment's precision: the bucket is a day. */
    private static final int DAYS = -1;

    /** So many rows are taken in before whoever adds up the partials has to be there. */
    static final int HEAD_START = 1_000;

    private final long everyMillis;
    private final String[] totals;
    private final int[] bucketIndexes;
    private final int[] keyIndexes;
    private final int[] sumIndexes;
    private final int[] momentPrecisions;
    private final boolean[] isLong;
    private boolean typed;

    private transient Partials[] partials;
    private transient long[] addends;
    private transient boolean timerPending;
    private transient int headStart;
    private transient long lastDay;
    private transient String lastDayText;

    /**
     * @param everyMillis how long a row is held at most
     * @param totals the names of the totals
     * @param bucketIndexes per total the DATE or TIMESTAMP_LTZ column of its bucket, never null
     * @param keyIndexes per total the STRING column of its key, or -1 for a total per bucket alone; a row whose key is
     *     null is not part of that total
     * @param sumIndexes INT or BIGINT columns to add up; null counts as nothing
     */
    public Combiner(long everyMillis, String[] totals, int[] bucketIndexes, int[] keyIndexes, int[] sumIndexes) {
        if (everyMillis <= 0) {
            throw new IllegalArgumentException("The interval must be positive, not " + everyMillis + " ms");
        }
        if (totals.length == 0 || totals.length != keyIndexes.length || totals.length != bucketIndexes.length) {
            throw new IllegalArgumentException("Each total needs its bucket and its key: " + totals.length + " totals, "
                    + bucketIndexes.length + " buckets, " + keyIndexes.length + " keys");
        }
        for (String total : totals) {
            if (total.indexOf(SEPARATOR) >= 0) {
                throw new IllegalArgumentException("A total's name holds no " + SEPARATOR + ": " + total);
            }
        }
        this.everyMillis = everyMillis;
        this.totals = totals.clone();
        this.bucketIndexes = bucketIndexes.clone();
        this.keyIndexes = keyIndexes.clone();
        this.sumIndexes = sumIndexes.clone();
        this.momentPrecisions = new int[totals.length];
        this.isLong = new boolean[sumIndexes.length];
    }

    /** The type of the partials; {@code longs} names the number of records and the sums. */
    public static TypeInformation<Row> outputType(String[] longs) {
        TypeInformation<?>[] types = new TypeInformation<?>[longs.length];
        Arrays.fill(types, Types.LONG);
        return Types.ROW_NAMED(new String[] {"key", "sums"}, Types.STRING, Types.ROW_NAMED(longs, types));
    }

    /** Called by Flink when the job is put together: wrong columns are refused there, not on a TaskManager. */
    @Override
    public void setInputType(TypeInformation<?> type, ExecutionConfig config) {
        if (!(type instanceof InternalTypeInfo)) {
            throw new IllegalArgumentException("The combiner adds up RowData of a table, not " + type);
        }
        LogicalType[] columns =
                ((InternalTypeInfo<?>) type).toRowType().getChildren().toArray(new LogicalType[0]);
        for (int i = 0; i < bucketIndexes.length; i++) {
            LogicalTypeRoot root = require(
                    columns, bucketIndexes[i], LogicalTypeRoot.DATE, LogicalTypeRoot.TIMESTAMP_WITH_LOCAL_TIME_ZONE);
            momentPrecisions[i] =
                    root == LogicalTypeRoot.DATE ? DAYS : LogicalTypeChecks.getPrecision(columns[bucketIndexes[i]]);
        }
        for (int index : keyIndexes) {
            if (index != -1) {
                require(columns, index, LogicalTypeRoot.VARCHAR);
            }
        }
        for (int i = 0; i < sumIndexes.length; i++) {
            isLong[i] = require(columns, sumIndexes[i], LogicalTypeRoot.INTEGER, LogicalTypeRoot.BIGINT)
                    == LogicalTypeRoot.BIGINT;
        }
        typed = true;
    }

    private static LogicalTypeRoot require(LogicalType[] columns, int index, LogicalTypeRoot... roots) {
        if (index < 0 || index >= columns.length) {
            throw new IllegalArgumentException("There is no column " + index + " in a row of " + columns.length);
        }
        LogicalTypeRoot root = columns[index].getTypeRoot();
        if (!Arrays.asList(roots).contains(root)) {
            throw new IllegalArgumentException(
                    "Column " + index + " is " + columns[index] + ", the combiner needs " + Arrays.toString(roots));
        }
        return root;
    }

    @Override
    public void open() throws Exception {
        super.open();
        if (!typed) {
            throw new IllegalStateException("The combiner was not told its input's type: add it with transform()");
        }
        partials = new Partials[totals.length];
        for (int i = 0; i < partials.length; i++) {
            partials[i] = new Partials();
        }
        addends = new long[sumIndexes.length];
        lastDayText = null;
        timerPending = false;
        headStart = HEAD_START;
    }

    @Override
    public void processElement(StreamRecord<RowData> element) throws InterruptedException {
        RowData row = element.getValue();
        for (int i = 0; i < addends.length; i++) {
            int index = sumIndexes[i];
            addends[i] = row.isNullAt(index) ? 0 : isLong[i] ? row.getLong(index) : row.getInt(index);
        }
        for (int i = 0; i < partials.length; i++) {
            int index = keyIndexes[i];
            if (index == -1) {
                add(i, bucket(row, i), BinaryStringData.EMPTY_UTF8);
            } else if (!row.isNullAt(index)) {
                add(i, bucket(row, i), (BinaryStringData) row.getString(index));
            }
        }
        if (!timerPending) {
            timerPending = true;
            long at = getProcessingTimeService().getCurrentProcessingTime() + everyMillis;
            getProcessingTimeService().registerTimer(at, time -> {
                timerPending = false;
                flush();
            });
        }
        if (headStart > 0 && --headStart == 0) {
            flush();
            awaitReaders();
        }
    }

    /**
     * Waits until all that was sent has been fetched: a task fetches once it is open, and Python takes seconds to open.
     * After a failure the JVM would otherwise replay far ahead of it, with the processor time that Python needs.
     */
    private void awaitReaders() throws InterruptedException {
        for (ResultPartitionWriter writer : getContainingTask().getEnvironment().getAllWriters()) {
            while (writer instanceof ResultPartition && ((ResultPartition) writer).getSizeOfQueuedBuffersUnsafe() > 0) {
                writer.flushAll();
                Thread.sleep(20);
            }
        }
    }

    /** Days or milliseconds since 1970. */
    private long bucket(RowData row, int total) {
        int index = bucketIndexes[total];
        if (row.isNullAt(index)) {
            throw new IllegalArgumentException("Column " + index + ", the bucket of " + totals[total]
                    + ", is null: let rows without a time become dead letters");
        }
        int precision = momentPrecisions[total];
        return precision == DAYS
                ? row.getInt(index)
                : row.getTimestamp(index, precision).getMillisecond();
    }

    private void add(int total, long bucket, BinaryStringData key) {
        Partials p = partials[total];
        p.add(bucket, key, addends);
        if (p.size >= MAX_KEYS) {
            flush(total);
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) {
        flush();
    }

    @Override
    public void endInput() {
        flush();
    }

    private void flush() {
        for (int i = 0; i < partials.length; i++) {
            flush(i);
        }
    }

    private void flush(int total) {
        Partials p = partials[total];
        for (int i = 0; i < p.size; i++) {
            Partial partial = p.entries[i];
            long[] sums = partial.sums;
            Row row = new Row(1 + sums.length);
            row.setField(0, partial.records);
            for (int j = 0; j < sums.length; j++) {
                row.setField(1 + j, sums[j]);
            }
            String key = totals[total] + SEPARATOR + bucketText(total, partial.bucket) + SEPARATOR + partial.key;
            output.collect(new StreamRecord<>(Row.of(key, row)));
        }
        p.clear();
    }

    private String bucketText(int total, long bucket) {
        if (momentPrecisions[total] != DAYS) {
            return Long.toString(bucket);
        }
        if (lastDayText == null || bucket != lastDay) {
            lastDay = bucket;
            lastDayText = LocalDate.ofEpochDay(bucket).toString();
        }
        return lastDayText;
    }

    private static final class Partial {
        final int hash;
        final long bucket;
        final BinaryStringData key;
        final long[] sums;
        long records = 1;

        Partial(int hash, long bucket, BinaryStringData key, long[] sums) {
            this.hash = hash;
            this.bucket = bucket;
            this.key = key;
            this.sums = sums;
        }
    }

    /** A hash map of (bucket, key), open addressing: found without making an object, sent in order of arrival. */
    private static final class Partials {
        private Partial[] table = new Partial[64];
        private Partial[] entries = new Partial[32];
        private int size;

        void add(long bucket, BinaryStringData key, long[] addends) {
            int hash = (key.hashCode() * 31 + Long.hashCode(bucket)) * 0x9E3779B9;
            hash ^= hash >>> 16;
            int mask = table.length - 1;
            int at = hash & mask;
            for (Partial p; (p = table[at]) != null; at = (at + 1) & mask) {
                if (p.hash == hash && p.bucket == bucket && p.key.equals(key)) {
                    p.records++;
                    long[] sums = p.sums;
                    for (int i = 0; i < sums.length; i++) {
                        sums[i] = Math.addExact(sums[i], addends[i]);
                    }
                    return;
                }
            }
            Partial added = new Partial(hash, bucket, key.copy(), addends.clone());
            table[at] = added;
            entries[size++] = added;
            if (size == entries.length) {
                grow();
            }
        }

        private void grow() {
            entries = Arrays.copyOf(entries, 2 * entries.length);
            table = new Partial[2 * table.length];
            int mask = table.length - 1;
            for (int i = 0; i < size; i++) {
                int at = entries[i].hash & mask;
                while (table[at] != null) {
                    at = (at + 1) & mask;
                }
                table[at] = entries[i];
            }
        }

        void clear() {
            if (size > 0) {
                Arrays.fill(table, null);
                Arrays.fill(entries, 0, size, null);
                size = 0;
            }
        }
    }
}
