package citystream.postgres;

import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import java.util.function.ToLongFunction;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.RowKind;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Phase one of the {@linkplain StagedCommitSink ledger}: stages rows, one epoch per checkpoint.
 *
 * <p><b>Chunks.</b> An epoch goes to its staging table in transactions of some megabytes. Each raises the epoch's chunk
 * counter from the number the writer knows, so that sending a chunk again after its commit's answer was lost adds
 * nothing.
 *
 * <p><b>The fence.</b> Opening, an attempt puts its id over the older attempts' of its subtasks. An older attempt that
 * lives on can begin no epoch (its id is gone from {@code staging.writers}), continue none and bind none to a
 * checkpoint (its row is gone from {@code staging.epochs}): it fails, with a sentence that says so.
 *
 * <p><b>What is given up, and when.</b> Opening, an attempt finds uncommitted epochs of older ones. Those bound to no
 * checkpoint can be bound no more: they are given up at once. Those bound to one are <i>orphans</i>, unless the
 * restored checkpoint contains them, or this attempt is itself the one that should be dead, and their checkpoint
 * completed without it. So they are handed to the committer with the first epoch, and given up when a checkpoint of
 * this attempt has completed, which only a live attempt sees. By then all that the restored checkpoint contains is
 * committed: committers begin with it. The number of a checkpoint tells nothing: another start of the job, from another
 * savepoint or from none, counts on from elsewhere.
 *
 * <p>Flink calls {@link #flush}, {@link #prepareCommit} and then {@link #snapshotState} for one checkpoint; at the end
 * of the input the first two come alone, and the snapshot with the final checkpoint, or never where there are no
 * checkpoints.
 */
final class StagedWriter implements StatefulSinkWriter<RowData, Epoch>, CommittingSinkWriter<RowData, Epoch> {
    private static final Logger LOG = LoggerFactory.getLogger(StagedWriter.class);

    private final StagedCommitSink sink;
    private final int subtask;
    private final int parallelism;
    private final UUID attempt = UUID.randomUUID();
    private final SinkWriterMetricGroup metrics;

    private final Columns columns;
    private final ToLongFunction<RowData> micros;
    private final CopyBuffer buffer;
    private final PostgresSession session;

    /** The epoch that is being written. */
    private String token = newToken();

    private int chunks;
    private long stagedRows;
    private long bufferedRows;
    private long oldestMicros = Long.MAX_VALUE;

    /** Staged, but bound to no checkpoint yet. */
    private final List<String> unbound = new ArrayList<>();

    private List<String> orphans = List.of();
    private long lastChunkMillis;

    StagedWriter(
            StagedCommitSink sink, int subtask, int parallelism, long restoredCheckpoint, SinkWriterMetricGroup metrics)
            throws IOException {
        this.sink = sink;
        this.subtask = subtask;
        this.parallelism = parallelism;
        this.metrics = metrics;
        columns = new Columns(sink.type);
        micros = sink.timeColumn == null ? row -> Long.MAX_VALUE : Columns.number(sink.type, sink.timeColumn);
        buffer = new CopyBuffer(sink.chunkBytes + sink.chunkBytes / 8);
        session = new PostgresSession(sink.server, application(), "SET statement_timeout = '60s'", metrics);
        metrics.setCurrentSendTimeGauge(() -> lastChunkMillis);
        try {
            orphans = session.transaction(
                    "take over %s[%d]".formatted(sink.name, subtask), c -> takeOver(c, restoredCheckpoint));
            Staging.clear(session);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("Cancelled while waiting for " + sink.server, e);
        } catch (IOException e) {
            session.close();
            throw e;
        }
    }

    @Override
    public void write(RowData row, Context context) throws IOException, InterruptedException {
        if (row.getRowKind() != RowKind.INSERT && row.getRowKind() != RowKind.UPDATE_AFTER) {
            throw new IOException(
                    "The ledger %s is append-only; it was sent a %s".formatted(sink.table, row.getRowKind()));
        }
        columns.encode(row, buffer);
        bufferedRows++;
        oldestMicros = Math.min(oldestMicros, micros.applyAsLong(row));
        metrics.getNumRecordsSendCounter().inc();
        if (buffer.length() >= sink.chunkBytes) {
            stageChunk();
        }
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        if (bufferedRows > 0) {
            stageChunk();
        }
    }

    @Override
    public Collection<Epoch> prepareCommit() {
        if (stagedRows == 0 && orphans.isEmpty()) {
            return List.of();
        }
        long oldestMillis = oldestMicros == Long.MAX_VALUE ? Epoch.NO_TIME : Math.floorDiv(oldestMicros, 1_000);
        Epoch epoch = new Epoch(token, stagedRows, oldestMillis, orphans);
        if (stagedRows > 0) {
            unbound.add(token);
        }
        orphans = List.of();
        token = newToken();
        chunks = 0;
        stagedRows = 0;
        oldestMicros = Long.MAX_VALUE;
        return List.of(epoch);
    }

    /** Binds what was prepared to the checkpoint. The writer has no state of its own: it is in PostgreSQL. */
    @Override
    public List<Epoch> snapshotState(long checkpointId) throws IOException {
        if (!unbound.isEmpty()) {
            try {
                session.transaction("bind an epoch to checkpoint " + checkpointId, c -> bind(c, checkpointId));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("Cancelled while waiting for " + sink.server, e);
            }
            unbound.clear();
        }
        return List.of();
    }

    @Override
    public void close() {
        session.close();
    }

    /** Fences older attempts off, ends what they left on the server, and finds the orphans. */
    private List<String> takeOver(Connection connection, long restoredCheckpoint) throws SQLException, IOException {
        PostgresSession.requireColumns(
                connection, "staging.writers", List.of("ledger", "subtask", "attempt", "purged_rows"));
        PostgresSession.requireColumns(connection, "staging.epochs", List.of("token", "ledger", "subtask", "attempt"));
        PostgresSession.requireColumns(connection, sink.table, columns.names());
        requireKey(connection);

        // A writer that hangs in the middle of a chunk holds its epoch's locks: end its session rather than wait for
        // it.
        String endSessions =
                """
                SELECT pg_terminate_backend(a.pid) FROM staging.writers w
                JOIN pg_stat_activity a ON right(a.application_name, 36) = w.attempt::text
                WHERE w.ledger = ? AND w.subtask % ? = ? AND a.usename = current_user AND a.pid <> pg_backend_pid()""";
        try (PreparedStatement statement = Staging.prepare(connection, endSessions, sink.name, parallelism, subtask)) {
            statement.executeQuery().close();
        }

        String fence =
                """
                INSERT INTO staging.writers (ledger, subtask, attempt) VALUES (?, ?, ?)
                ON CONFLICT (ledger, subtask) DO UPDATE SET attempt = excluded.attempt, taken_at = now()""";
        Staging.update(connection, fence, sink.name, subtask, attempt);
        String fenceInherited =
                "UPDATE staging.writers SET attempt = ?, taken_at = now() WHERE ledger = ? AND subtask % ? = ? AND subtask <> ?";
        Staging.update(connection, fenceInherited, attempt, sink.name, parallelism, subtask, subtask);

        List<String> found = new ArrayList<>();
        List<String> neverBound = new ArrayList<>();
        String pending =
                """
                SELECT token, checkpoint_id FROM staging.epochs
                WHERE ledger = ? AND subtask % ? = ? AND committed_at IS NULL ORDER BY token FOR UPDATE""";
        try (PreparedStatement statement = Staging.prepare(connection, pending, sink.name, parallelism, subtask);
                ResultSet result = statement.executeQuery()) {
            while (result.next()) {
                (result.getObject("checkpoint_id") == null ? neverBound : found).add(result.getString("token"));
            }
        }
        for (String unknown : neverBound) {
            Staging.giveUp(connection, unknown);
        }
        LOG.info(
                "{}[{}] stages as attempt {} from checkpoint {}: gave up {} unfinished epochs, {} may follow with the next checkpoint",
                sink.name,
                subtask,
                attempt,
                restoredCheckpoint,
                neverBound.size(),
                found.size());
        return found;
    }

    private void requireKey(Connection connection) throws SQLException, IOException {
        String keys = "SELECT FROM pg_index WHERE indrelid = to_regclass(?) AND indisunique AND indpred IS NULL";
        try (PreparedStatement statement = Staging.prepare(connection, keys, Columns.quoted(sink.table));
                ResultSet result = statement.executeQuery()) {
            if (!result.next()) {
                throw new IOException(
                        "The PostgreSQL table %s has no unique key, so a repeated row could not be told: add a primary key"
                                .formatted(sink.table));
            }
        }
    }

    private void stageChunk() throws IOException, InterruptedException {
        long start = System.nanoTime();
        session.transaction("stage %d rows for %s[%d]".formatted(bufferedRows, sink.name, subtask), this::stageChunk);
        lastChunkMillis = (System.nanoTime() - start) / 1_000_000;
        metrics.getNumBytesSendCounter().inc(buffer.length());
        chunks++;
        stagedRows += bufferedRows;
        bufferedRows = 0;
        buffer.clear();
    }

    /** One chunk, once: it may run again after its commit, and must not add the rows again. */
    private Void stageChunk(Connection connection) throws SQLException, IOException {
        boolean added = chunks == 0 ? beginEpoch(connection) : continueEpoch(connection);
        if (added) {
            String copy = "COPY %s (%s) FROM STDIN".formatted(Staging.table(token), Columns.quoted(columns.names()));
            long copied = PostgresSession.copy(connection, copy, buffer.bytes(), buffer.length());
            if (copied != bufferedRows) {
                throw new IOException("PostgreSQL took %d of %d rows of a chunk".formatted(copied, bufferedRows));
            }
        }
        return null;
    }

    /** Registers the epoch and makes its table; false when an earlier try of this chunk did. */
    private boolean beginEpoch(Connection connection) throws SQLException, IOException {
        String fence = "SELECT attempt FROM staging.writers WHERE ledger = ? AND subtask = ? FOR SHARE";
        try (PreparedStatement statement = Staging.prepare(connection, fence, sink.name, subtask);
                ResultSet result = statement.executeQuery()) {
            if (!result.next() || !attempt.equals(result.getObject(1))) {
                throw fenced();
            }
        }
        String register =
                """
                INSERT INTO staging.epochs (token, ledger, subtask, attempt, chunks, rows) VALUES (?, ?, ?, ?, 1, ?)
                ON CONFLICT (token) DO NOTHING""";
        if (Staging.update(connection, register, token, sink.name, subtask, attempt, bufferedRows) == 0) {
            return false;
        }
        // Nobody needs statistics of a table that is read once, and autovacuum's lock would keep it from being dropped.
        String create = "CREATE TABLE %s WITH (autovacuum_enabled = false) AS SELECT %s FROM %s WITH NO DATA";
        Staging.update(
                connection,
                create.formatted(Staging.table(token), Columns.quoted(columns.names()), Columns.quoted(sink.table)));
        return true;
    }

    /** Counts the chunk; false when an earlier try of it did. Waits for that try, should the server still be at it. */
    private boolean continueEpoch(Connection connection) throws SQLException, IOException {
        String count = "UPDATE staging.epochs SET chunks = chunks + 1, rows = rows + ? WHERE token = ? AND chunks = ?";
        if (Staging.update(connection, count, bufferedRows, token, chunks) == 1) {
            return true;
        }
        try (PreparedStatement statement =
                        Staging.prepare(connection, "SELECT chunks FROM staging.epochs WHERE token = ?", token);
                ResultSet result = statement.executeQuery()) {
            if (result.next() && result.getInt(1) == chunks + 1) {
                return false;
            }
        }
        throw fenced();
    }

    private Void bind(Connection connection, long checkpointId) throws SQLException, IOException {
        String bind = "UPDATE staging.epochs SET checkpoint_id = ? WHERE token = ANY (?)";
        if (Staging.update(connection, bind, checkpointId, unbound.toArray(String[]::new)) != unbound.size()) {
            throw fenced();
        }
        return null;
    }

    private IOException fenced() {
        return new IOException("Another attempt of this writer took over %s[%d]: this one may stage nothing more"
                .formatted(sink.name, subtask));
    }

    /**
     * Ends in the attempt, by which a successor finds this session; the whole fits in the 63 bytes PostgreSQL keeps.
     */
    private String application() {
        String ledger = sink.name.replaceAll("[^ -~]", "?");
        return "%s[%d] %s".formatted(ledger.substring(0, Math.min(ledger.length(), 18)), subtask, attempt);
    }

    private static String newToken() {
        return UUID.randomUUID().toString().replace("-", "");
    }
}
