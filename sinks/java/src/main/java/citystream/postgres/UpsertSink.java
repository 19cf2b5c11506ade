package citystream.postgres;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * <b>Totals</b>: rows that are updated, one per key. Also the ledger's {@code upsert} mode, whose rows are visible at
 * once.
 *
 * <p><b>Contract.</b> At-least-once delivery, exactly-once result: a row is written when it is newer than, or as new
 * as, the one in the table by its version column, so a replay never shows an older number. Without a version column the
 * first row of a key is kept. A row is visible after a second at the latest, and every row that a checkpoint contains
 * is written before the checkpoint completes. While PostgreSQL is away the job waits; it neither fails nor drops.
 *
 * <p><b>How.</b> Rows are folded by key, then sent with COPY into a temporary table and merged from there in one
 * statement, in the order of the key, so that parallel writers lock rows in one order.
 *
 * <p><b>It needs</b> a unique key on exactly the key columns. Versions must grow with the truth, not with the clock of
 * a writer.
 */
public final class UpsertSink implements Sink<RowData> {
    private static final long serialVersionUID = 1;
    private static final int BATCH_ROWS = 5_000;
    private static final long BATCH_MILLIS = 1_000;

    final PostgresServer server;
    final String table;
    final RowType type;
    final String[] keyColumns;
    final String versionColumn;
    final int batchRows;
    final long batchMillis;

    /**
     * @param jdbcUrl {@code jdbc:postgresql://host:port/database}
     * @param table the table, with or without its schema
     * @param type the rows; its field names are the columns
     * @param keyColumns the columns of the table's unique key
     * @param versionColumn an INT, BIGINT, DATE or TIMESTAMP column that grows, or null to keep the first row of each
     *     key
     */
    public UpsertSink(
            String jdbcUrl,
            String user,
            String password,
            String table,
            RowType type,
            String[] keyColumns,
            String versionColumn) {
        this(
                new PostgresServer(jdbcUrl, user, password),
                table,
                type,
                keyColumns,
                versionColumn,
                BATCH_ROWS,
                BATCH_MILLIS);
    }

    UpsertSink(
            PostgresServer server,
            String table,
            RowType type,
            String[] keyColumns,
            String versionColumn,
            int batchRows,
            long batchMillis) {
        if (keyColumns.length == 0) {
            throw new IllegalArgumentException("The upsert into %s needs at least one key column".formatted(table));
        }
        this.server = server;
        this.table = table;
        this.type = type;
        this.keyColumns = keyColumns.clone();
        this.versionColumn = versionColumn;
        this.batchRows = batchRows;
        this.batchMillis = batchMillis;
        new Columns(type); // refuses a type it can't write here, where the job is put together
        Columns.positions(type, keyColumns);
        if (versionColumn != null) {
            Columns.number(type, versionColumn);
        }
    }

    @Override
    public SinkWriter<RowData> createWriter(WriterInitContext context) throws IOException {
        return new UpsertWriter(
                this,
                context.getJobInfo().getJobName(),
                context.getTaskInfo().getIndexOfThisSubtask(),
                context.getProcessingTimeService(),
                context.metricGroup());
    }

    @Override
    public String toString() {
        return "upsert into %s by %s at %s".formatted(table, Arrays.toString(keyColumns), server);
    }
}
