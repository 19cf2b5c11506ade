package citystream.postgres;

import java.io.IOException;
import java.util.Collection;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * The <b>ledger</b>: append-only facts with a natural key, each in its table exactly once.
 *
 * <p><b>Contract.</b> Readers see exactly the rows that completed checkpoints contain, each key once, the first row of
 * a key kept. Nothing is lost, repeated or half visible whatever is killed at whatever moment: TaskManager, JobManager,
 * PostgreSQL, the network between them. While PostgreSQL is away the job waits; it neither fails nor drops. No prepared
 * transaction is used, so no lock outlives a crash and the server needs no setting.
 *
 * <p><b>How.</b> {@linkplain StagedWriter Phase one}: rows go by COPY into a staging table of their own per subtask and
 * checkpoint (an <i>epoch</i>), committed there before the checkpoint's barrier passes. {@linkplain StagedCommitter
 * Phase two}: once the checkpoint is complete, one ordinary transaction inserts the epoch into the ledger and notes the
 * token as committed, so that committing it again does nothing. The staging table is dropped after that; a reader that
 * keeps it holds nobody up.
 *
 * <p><b>It needs</b> the schema {@code staging} of {@code sql/postgres} and a unique key on the table. Without
 * checkpoints rows appear when the input ends. The key, not the sink, absorbs what the source delivers twice.
 */
public final class StagedCommitSink
        implements Sink<RowData>, SupportsCommitter<Epoch>, SupportsWriterState<RowData, Epoch> {
    private static final long serialVersionUID = 1;
    private static final int CHUNK_BYTES = 4 << 20;

    final PostgresServer server;
    final String table;
    final String name;
    final RowType type;
    final String timeColumn;
    final int chunkBytes;

    /**
     * @param jdbcUrl {@code jdbc:postgresql://host:port/database}
     * @param table the ledger, with or without its schema
     * @param name the identity of the job and this sink, kept over restarts and unlike that of any other sink on the
     *     server, for example {@code JOB.ledger}
     * @param type the rows; its field names are the columns
     * @param timeColumn a TIMESTAMP_LTZ column, from which {@code endToEndSeconds} is measured, or null
     */
    public StagedCommitSink(
            String jdbcUrl, String user, String password, String table, String name, RowType type, String timeColumn) {
        this(new PostgresServer(jdbcUrl, user, password), table, name, type, timeColumn, CHUNK_BYTES);
    }

    StagedCommitSink(
            PostgresServer server, String table, String name, RowType type, String timeColumn, int chunkBytes) {
        this.server = server;
        this.table = table;
        this.name = name;
        this.type = type;
        this.timeColumn = timeColumn;
        this.chunkBytes = chunkBytes;
        new Columns(type); // refuses a type it can't write here, where the job is put together
        if (timeColumn != null) {
            Columns.number(type, timeColumn);
        }
    }

    @Override
    public StatefulSinkWriter<RowData, Epoch> createWriter(WriterInitContext context) throws IOException {
        return new StagedWriter(
                this,
                context.getTaskInfo().getIndexOfThisSubtask(),
                context.getTaskInfo().getNumberOfParallelSubtasks(),
                context.getRestoredCheckpointId().orElse(0),
                context.metricGroup());
    }

    /** A restored writer starts as a new one does: what it staged is known to the committer and to PostgreSQL. */
    @Override
    public StatefulSinkWriter<RowData, Epoch> restoreWriter(WriterInitContext context, Collection<Epoch> state)
            throws IOException {
        return createWriter(context);
    }

    @Override
    public SimpleVersionedSerializer<Epoch> getWriterStateSerializer() {
        return new Epoch.Serializer();
    }

    @Override
    public Committer<Epoch> createCommitter(CommitterInitContext context) {
        return new StagedCommitter(
                this,
                context.getTaskInfo().getIndexOfThisSubtask(),
                context.getTaskInfo().getNumberOfParallelSubtasks(),
                context.metricGroup());
    }

    @Override
    public SimpleVersionedSerializer<Epoch> getCommittableSerializer() {
        return new Epoch.Serializer();
    }

    @Override
    public String toString() {
        return "%s (staged commit into %s at %s)".formatted(name, table, server);
    }
}
