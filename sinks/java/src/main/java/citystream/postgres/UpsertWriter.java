package citystream.postgres;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.RowKind;

/** Folds rows by key and merges them into the table: see {@link UpsertSink}. */
final class UpsertWriter implements SinkWriter<RowData> {
    private static final String BATCH = "citystream_batch";

    /** A row as it will be sent: its bytes are a copy, since the job may reuse the object it came in. */
    private record Folded(long version, byte[] line) {}

    private final UpsertSink sink;
    private final ProcessingTimeService clock;
    private final Counter sent;
    private final Counter bytesSent;
    private final Counter merged;

    private final Columns columns;
    private final int[] key;
    private final ToLongFunction<RowData> version;
    private final String copy;
    private final String merge;
    private final PostgresSession session;

    private final CopyBuffer scratch = new CopyBuffer(1 << 10);
    private final CopyBuffer buffer = new CopyBuffer(1 << 20);
    private final Map<ByteBuffer, Folded> batch = new HashMap<>();
    private boolean timerIsSet;

    UpsertWriter(UpsertSink sink, String job, int subtask, ProcessingTimeService clock, SinkWriterMetricGroup metrics)
            throws IOException {
        this.sink = sink;
        this.clock = clock;
        sent = metrics.getNumRecordsSendCounter();
        bytesSent = metrics.getNumBytesSendCounter();
        merged = metrics.counter("rowsMerged");
        columns = new Columns(sink.type);
        key = Columns.positions(sink.type, sink.keyColumns);
        version = sink.versionColumn == null ? row -> 0 : Columns.number(sink.type, sink.versionColumn);

        String list = Columns.quoted(columns.names());
        copy = "COPY %s (%s) FROM STDIN".formatted(BATCH, list);
        merge = merge(list);
        String makeBatch = "CREATE TEMPORARY TABLE %s ON COMMIT DELETE ROWS AS SELECT %s FROM %s WITH NO DATA"
                .formatted(BATCH, list, Columns.quoted(sink.table));
        session = new PostgresSession(
                sink.server,
                // Begins with the job, by which a second one of its name finds out that it is not alone.
                "%s.%s[%d]".formatted(job, sink.table, subtask),
                "SET statement_timeout = '60s'; " + makeBatch,
                metrics);
        try {
            // Planning it is enough to learn that a table, a column or the unique key is missing.
            session.transaction("prepare to write " + sink.table, this::explainMerge);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("Cancelled while waiting for " + sink.server, e);
        } catch (IOException e) {
            session.close();
            throw e;
        }
    }

    /** {@code INSERT ... ON CONFLICT}: rows of one batch have different keys, as that statement demands. */
    private String merge(String list) {
        List<String> keyColumns = Arrays.asList(sink.keyColumns);
        String target = Columns.quoted(sink.table);
        String keyList = Columns.quoted(keyColumns);
        String insert = "INSERT INTO %s AS t (%s) SELECT %s FROM %s ORDER BY %s ON CONFLICT (%s)"
                .formatted(target, list, list, BATCH, keyList, keyList);
        String updates = columns.names().stream()
                .filter(name -> !keyColumns.contains(name))
                .map(name -> Columns.quoted(List.of(name)))
                .map(name -> name + " = excluded." + name)
                .collect(Collectors.joining(", "));
        if (sink.versionColumn == null || updates.isEmpty()) {
            return insert + " DO NOTHING";
        }
        String newer = Columns.quoted(List.of(sink.versionColumn));
        return insert + " DO UPDATE SET %s WHERE excluded.%s >= t.%s".formatted(updates, newer, newer);
    }

    @Override
    public void write(RowData row, Context context) throws IOException, InterruptedException {
        if (row.getRowKind() == RowKind.UPDATE_BEFORE) {
            return; // the new row follows
        }
        if (row.getRowKind() == RowKind.DELETE) {
            throw new IOException(
                    "The table %s is upserted into, never deleted from; it was sent a DELETE".formatted(sink.table));
        }
        sent.inc();
        scratch.clear();
        columns.encode(row, key, scratch);
        ByteBuffer rowKey = ByteBuffer.wrap(scratch.copy());
        long rowVersion = version.applyAsLong(row);
        Folded known = batch.get(rowKey);
        if (known == null || (sink.versionColumn != null && rowVersion >= known.version)) {
            scratch.clear();
            columns.encode(row, scratch);
            batch.put(rowKey, new Folded(rowVersion, scratch.copy()));
        }
        if (batch.size() >= sink.batchRows) {
            flush(false);
        } else if (!timerIsSet) {
            timerIsSet = true;
            clock.registerTimer(clock.getCurrentProcessingTime() + sink.batchMillis, time -> {
                timerIsSet = false;
                flush(false);
            });
        }
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        if (batch.isEmpty()) {
            return;
        }
        buffer.clear();
        batch.values().forEach(row -> buffer.putRaw(row.line));
        session.transaction("merge %d rows into %s".formatted(batch.size(), sink.table), this::merge);
        bytesSent.inc(buffer.length());
        merged.inc(batch.size());
        batch.clear();
    }

    private Void explainMerge(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("EXPLAIN " + merge);
        }
        return null;
    }

    /** May run again after its commit: merging the same rows again changes nothing. */
    private Void merge(Connection connection) throws SQLException {
        PostgresSession.copy(connection, copy, buffer.bytes(), buffer.length());
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate(merge);
        }
        return null;
    }

    @Override
    public void close() {
        session.close();
    }
}
