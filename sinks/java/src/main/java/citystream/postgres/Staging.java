package citystream.postgres;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * What the ledger's writer and committer agree on: where an epoch's rows are, how it is given up, and how staging is
 * kept tidy.
 *
 * <p>What counts is an epoch's row in {@code staging.epochs}. Its table is of use while that row is there and not
 * committed; dropping it afterwards is {@linkplain #clear upkeep}, which may fail: whoever reads the table, as
 * {@code pg_dump} does for hours, keeps it from being dropped, and may not keep the job.
 */
final class Staging {
    private static final int PURGED_AT_ONCE = 500;

    private Staging() {}

    static String table(String token) {
        return "staging." + Columns.quoted("e_" + token);
    }

    /** Gives up an epoch that no checkpoint will ask for; false when it was committed meanwhile, or is gone. */
    static boolean giveUp(Connection connection, String token) throws SQLException {
        return update(connection, "DELETE FROM staging.epochs WHERE token = ? AND committed_at IS NULL", token) == 1;
    }

    /**
     * Drops the tables of epochs that are committed or given up, each in a transaction of its own. A table that is
     * being read is left to the next time. An epoch and its table are made in one transaction, so a table without an
     * epoch is nobody's.
     */
    static void clear(PostgresSession session) throws InterruptedException {
        String left =
                """
                SELECT substr(c.relname, 3) FROM pg_class c
                WHERE c.relnamespace = 'staging'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'e\\_%' AND NOT EXISTS (
                    SELECT FROM staging.epochs e
                    WHERE e.token = substr(c.relname, 3) COLLATE "default" AND e.committed_at IS NULL)""";
        List<String> tokens = new ArrayList<>();
        session.attempt("look for staging tables to drop", connection -> {
            try (PreparedStatement statement = prepare(connection, left);
                    ResultSet result = statement.executeQuery()) {
                while (result.next()) {
                    tokens.add(result.getString(1));
                }
            }
        });
        for (String token : tokens) {
            session.attempt("drop the staging table of epoch " + token, connection -> {
                update(connection, "SET LOCAL lock_timeout = '20ms'");
                update(connection, "DROP TABLE IF EXISTS " + table(token));
            });
        }
    }

    /**
     * Forgets some of the epochs of these subtasks that were committed more than 30 days ago; {@code staging.writers}
     * keeps what they add up to. Each checkpoint makes one epoch and purges many, so that what is due never grows.
     */
    static void purge(PostgresSession session, String ledger, int subtask, int parallelism)
            throws InterruptedException {
        String purge =
                """
                WITH due AS (
                    SELECT token FROM staging.epochs
                    WHERE ledger = ? AND subtask % ? = ? AND committed_at < now() - interval '30 days'
                    ORDER BY committed_at LIMIT ? FOR UPDATE SKIP LOCKED
                ), purged AS (
                    DELETE FROM staging.epochs e USING due WHERE e.token = due.token RETURNING e.subtask, e.rows, e.inserted
                ), sums AS (
                    SELECT subtask, sum(rows) AS rows, sum(inserted) AS inserted FROM purged GROUP BY subtask
                )
                UPDATE staging.writers w
                SET purged_rows = w.purged_rows + s.rows, purged_inserted = w.purged_inserted + s.inserted
                FROM sums s WHERE w.ledger = ? AND w.subtask = s.subtask""";
        session.attempt(
                "purge epochs of " + ledger,
                connection -> update(connection, purge, ledger, parallelism, subtask, PURGED_AT_ONCE, ledger));
    }

    /** Runs one statement with these parameters; returns the number of rows it changed. */
    static int update(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(connection, sql, parameters)) {
            return statement.executeUpdate();
        }
    }

    static PreparedStatement prepare(Connection connection, String sql, Object... parameters) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int i = 0; i < parameters.length; i++) {
            statement.setObject(i + 1, parameters[i]);
        }
        return statement;
    }
}
