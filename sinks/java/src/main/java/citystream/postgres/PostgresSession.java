package citystream.postgres;

import java.io.IOException;
import java.net.SocketTimeoutException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection that does work in transactions until they are committed. What passes (a lost connection, a restart, a
 * deadlock, a full disk) is waited out with growing pauses, for as long as it takes, and counted in the metric
 * {@code retries}: the job sees backpressure, not a failure. What does not pass (a wrong password, a missing table, a
 * broken constraint) is thrown at once, as a sentence that says what to change.
 *
 * <p>The commit whose answer was lost is the reader's trouble: work handed to {@link #transaction} may run again after
 * it was committed, and must find that out by what is in the database.
 */
final class PostgresSession implements AutoCloseable {
    /** What one transaction does. It throws {@link IOException} for what must end the job. */
    @FunctionalInterface
    interface Work<T> {
        T in(Connection connection) throws SQLException, IOException;
    }

    /** Upkeep, done in one transaction. */
    @FunctionalInterface
    interface Upkeep {
        void in(Connection connection) throws SQLException;
    }

    static final int PATIENCE_SECONDS = 60;

    private static final Logger LOG = LoggerFactory.getLogger(PostgresSession.class);
    private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);

    /** Connection, resources, operator intervention, serialization and deadlock: states that pass by themselves. */
    private static final Set<String> PASSING_CLASSES = Set.of("08", "53");

    private static final Set<String> PASSING_STATES =
            Set.of("57P01", "57P02", "57P03", "57P05", "57014", "40001", "40P01", "55P03", "25P03", "25006", "58030");

    private final PostgresServer server;
    private final String application;
    private final String onConnect;
    private final Counter retries;
    private Connection connection;

    /** @param onConnect statements that every new connection runs first */
    PostgresSession(PostgresServer server, String application, String onConnect, MetricGroup metrics) {
        this.server = server;
        this.application = application;
        this.onConnect = onConnect;
        retries = metrics.counter("retries");
    }

    <T> T transaction(String purpose, Work<T> work) throws IOException, InterruptedException {
        return transaction(purpose, Duration.ofSeconds(PATIENCE_SECONDS), work);
    }

    /** Runs the work until it is committed; a server that is silent for longer than {@code patience} counts as dead. */
    <T> T transaction(String purpose, Duration patience, Work<T> work) throws IOException, InterruptedException {
        for (int attempt = 1; ; attempt++) {
            try {
                Connection open = connection();
                open.setNetworkTimeout(Runnable::run, Math.toIntExact(patience.toMillis()));
                T result = work.in(open);
                open.commit();
                return result;
            } catch (SQLException e) {
                disconnect();
                if (Thread.interrupted()) { // the driver reports it as an error of its own
                    throw new InterruptedException("Cancelled while waiting for %s to %s".formatted(server, purpose));
                }
                if (!passes(e)) {
                    throw new IOException(sentence(purpose, e), e);
                }
                retries.inc();
                long pause = pause(attempt);
                LOG.warn(
                        "Waiting for {} to {}: attempt {} failed ({}), next in {} ms",
                        server,
                        purpose,
                        attempt,
                        brief(e),
                        pause);
                Thread.sleep(pause);
            } catch (IOException | RuntimeException e) {
                disconnect();
                throw e;
            }
        }
    }

    /** Runs work that may as well be done later, once; where it fails it changes nothing, and nobody waits. */
    void attempt(String purpose, Upkeep work) throws InterruptedException {
        try {
            Connection open = connection();
            open.setNetworkTimeout(Runnable::run, PATIENCE_SECONDS * 1_000);
            work.in(open);
            open.commit();
        } catch (SQLException e) {
            LOG.info("{} could not {}: {}; it will be tried again", server, purpose, brief(e));
            rollback();
            if (Thread.interrupted()) {
                throw new InterruptedException("Cancelled while waiting for %s to %s".formatted(server, purpose));
            }
        }
    }

    private void rollback() {
        try {
            if (connection != null) {
                connection.rollback();
            }
        } catch (SQLException e) {
            disconnect();
        }
    }

    private Connection connection() throws SQLException {
        if (connection == null) {
            Connection opened = server.connect(application, PATIENCE_SECONDS);
            try (var statement = opened.createStatement()) {
                statement.execute(onConnect);
                opened.commit();
            } catch (SQLException e) {
                opened.close();
                throw e;
            }
            connection = opened;
        }
        return connection;
    }

    /** Ends the connection and with it whatever it was in the middle of. */
    private void disconnect() {
        if (connection != null) {
            try {
                connection.close();
            } catch (SQLException e) {
                LOG.debug("The connection to {} was already gone", server, e);
            }
            connection = null;
        }
    }

    @Override
    public void close() {
        disconnect();
    }

    /** Sends COPY text into a table; returns the number of rows. */
    static long copy(Connection connection, String sql, byte[] bytes, int length) throws SQLException {
        CopyIn copy = connection.unwrap(PGConnection.class).getCopyAPI().copyIn(sql);
        copy.writeToCopy(bytes, 0, length);
        return copy.endCopy();
    }

    /** Fails with one sentence when the table or one of these columns is missing. */
    static void requireColumns(Connection connection, String table, List<String> columns)
            throws SQLException, IOException {
        String present =
                """
                SELECT to_regclass(?) IS NOT NULL, ARRAY(
                    SELECT c FROM unnest(?) c WHERE c NOT IN (
                        SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped))""";
        try (PreparedStatement statement = connection.prepareStatement(present)) {
            statement.setString(1, Columns.quoted(table));
            statement.setArray(2, connection.createArrayOf("text", columns.toArray()));
            statement.setString(3, Columns.quoted(table));
            try (ResultSet result = statement.executeQuery()) {
                result.next();
                if (!result.getBoolean(1)) {
                    throw new IOException("PostgreSQL has no table %s: run `make prepare`".formatted(table));
                }
                String[] missing = (String[]) result.getArray(2).getArray();
                if (missing.length > 0) {
                    throw new IOException("The PostgreSQL table %s has no column %s: run `make prepare`"
                            .formatted(table, String.join(", ", missing)));
                }
            }
        }
    }

    static boolean passes(SQLException e) {
        String state = e.getSQLState();
        if (state == null) {
            return e instanceof SQLTransientConnectionException || e.getCause() instanceof SocketTimeoutException;
        }
        return PASSING_CLASSES.contains(state.substring(0, 2)) || PASSING_STATES.contains(state);
    }

    private String sentence(String purpose, SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String remedy =
                switch (state) {
                    case "28P01", "28000" -> "check the user and the password in the settings";
                    case "3D000" -> "create the database or correct the URL in the settings";
                    case "3F000", "42P01", "42703" -> "run `make prepare`";
                    case "42501" -> "grant the user what is missing";
                    case "42P10" -> "give the table a primary key or a unique index on the key columns";
                    default -> state.startsWith("23") || state.startsWith("22")
                            ? "a row breaks a rule of the table; refuse such rows where they are decoded"
                            : "this does not pass by itself";
                };
        return "%s could not %s: %s; %s".formatted(server, purpose, brief(e), remedy);
    }

    /** One line: the server's message and SQL state, without the details, which may quote a row. */
    private static String brief(SQLException e) {
        ServerErrorMessage said = e instanceof PSQLException fromServer ? fromServer.getServerErrorMessage() : null;
        String message = said != null ? said.getMessage() : e.getMessage();
        return "%s, SQL state %s".formatted(String.valueOf(message).replaceAll("\\s+", " "), e.getSQLState());
    }

    private static long pause(int attempt) {
        long pause = Math.min(LONGEST_PAUSE.toMillis(), FIRST_PAUSE.toMillis() << Math.min(attempt - 1, 10));
        return ThreadLocalRandom.current().nextLong(pause / 2, pause + 1);
    }
}
