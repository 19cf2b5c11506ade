package citystream.postgres;

import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collection;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.groups.SinkCommitterMetricGroup;

/**
 * Phase two of the {@linkplain StagedCommitSink ledger}: moves each epoch of a completed checkpoint into the table, in
 * one ordinary transaction that also notes it as committed. Committed again, after a restore or a lost answer, an epoch
 * does nothing. What is then of no more use is {@linkplain Staging#clear cleared up} in transactions of its own, which
 * hold nobody up.
 *
 * <p>Metrics: {@code rowsInserted}; {@code rowsRepeated}, rows whose key the ledger had already;
 * {@code endToEndSeconds}, the age of the oldest row of the last epoch when it became visible, NaN where rows carry no
 * time.
 */
final class StagedCommitter implements Committer<Epoch> {
    private static final int ALREADY_COMMITTED = -1;

    /** A move may take this much longer per row before the server counts as dead: 5,000 rows per second. */
    private static final Duration PATIENCE_PER_ROW = Duration.ofNanos(200_000);

    private final StagedCommitSink sink;
    private final int subtask;
    private final int parallelism;
    private final String columnList;
    private final PostgresSession session;
    private final Counter rowsInserted;
    private final Counter rowsRepeated;
    private volatile double endToEndSeconds = Double.NaN;

    StagedCommitter(StagedCommitSink sink, int subtask, int parallelism, SinkCommitterMetricGroup metrics) {
        this.sink = sink;
        this.subtask = subtask;
        this.parallelism = parallelism;
        columnList = Columns.quoted(sink.type.getFieldNames());
        session = new PostgresSession(sink.server, sink.name + " committer", "SET statement_timeout = 0", metrics);
        rowsInserted = metrics.counter("rowsInserted");
        rowsRepeated = metrics.counter("rowsRepeated");
        metrics.gauge("endToEndSeconds", () -> endToEndSeconds);
    }

    @Override
    public void commit(Collection<CommitRequest<Epoch>> requests) throws IOException, InterruptedException {
        for (CommitRequest<Epoch> request : requests) {
            Epoch epoch = request.getCommittable();
            Duration patience = Duration.ofSeconds(PostgresSession.PATIENCE_SECONDS)
                    .plus(PATIENCE_PER_ROW.multipliedBy(epoch.rows()));
            long inserted = session.transaction(
                    "commit %d rows of epoch %s to %s".formatted(epoch.rows(), epoch.token(), sink.table),
                    patience,
                    connection -> commit(connection, epoch));
            if (inserted == ALREADY_COMMITTED) {
                request.signalAlreadyCommitted();
                continue;
            }
            rowsInserted.inc(inserted);
            rowsRepeated.inc(epoch.rows() - inserted);
            if (epoch.oldestMillis() != Epoch.NO_TIME) {
                endToEndSeconds = (System.currentTimeMillis() - epoch.oldestMillis()) / 1e3;
            }
        }
        Staging.clear(session);
        Staging.purge(session, sink.name, subtask, parallelism);
    }

    @Override
    public void close() {
        session.close();
    }

    private long commit(Connection connection, Epoch epoch) throws SQLException, IOException {
        long inserted = epoch.rows() == 0 ? 0 : move(connection, epoch);
        // No checkpoint will ask for these, now that one of the attempt that replaced their writers is complete.
        for (String orphan : epoch.orphans()) {
            Staging.giveUp(connection, orphan);
        }
        return inserted;
    }

    private long move(Connection connection, Epoch epoch) throws SQLException, IOException {
        String lock = "SELECT committed_at IS NOT NULL FROM staging.epochs WHERE token = ? FOR UPDATE";
        try (PreparedStatement statement = Staging.prepare(connection, lock, epoch.token());
                ResultSet result = statement.executeQuery()) {
            if (!result.next()) {
                throw new IOException(unknown(epoch));
            }
            if (result.getBoolean(1)) {
                return ALREADY_COMMITTED;
            }
        }
        String staged = Staging.table(epoch.token());
        String insert = "INSERT INTO %s (%s) SELECT %s FROM %s ON CONFLICT DO NOTHING";
        long inserted;
        try (PreparedStatement statement = connection.prepareStatement(
                insert.formatted(Columns.quoted(sink.table), columnList, columnList, staged))) {
            inserted = statement.executeLargeUpdate();
        }
        Staging.update(
                connection,
                "UPDATE staging.epochs SET committed_at = clock_timestamp(), inserted = ? WHERE token = ?",
                inserted,
                epoch.token());
        return inserted;
    }

    private String unknown(Epoch epoch) {
        return """
                The checkpoint refers to epoch %s (%d rows for %s), which is not in staging.epochs: it was committed more than 30 \
                days ago, or dropped when the job went on from an earlier checkpoint, or the database is not the one it was \
                staged in. Resume from the newest checkpoint, or start without one from the earliest offset: rows that the \
                ledger has are not repeated."""
                .formatted(epoch.token(), epoch.rows(), sink.table);
    }
}
