package citystream.postgres;

import java.io.Serializable;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.Driver;

/** Where PostgreSQL is and who asks. Neither {@link #toString()} nor any error tells the password. */
record PostgresServer(String url, String user, String password) implements Serializable {
    private static final int CONNECT_SECONDS = 10;

    PostgresServer {
        if (!url.startsWith("jdbc:postgresql:")) {
            throw new IllegalArgumentException(
                    "A JDBC URL starts with jdbc:postgresql: (jdbc:postgresql://host:port/database)");
        }
    }

    /**
     * Opens a session that notices when the other side is gone: a dead server within {@code patience}, a dead client
     * within seconds, and no lock is waited for or held idly for long.
     */
    Connection connect(String application, int patienceSeconds) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        properties.setProperty("ApplicationName", application);
        properties.setProperty("tcpKeepAlive", "true");
        properties.setProperty("connectTimeout", Integer.toString(CONNECT_SECONDS));
        properties.setProperty("loginTimeout", Integer.toString(CONNECT_SECONDS * hosts()));
        properties.setProperty("socketTimeout", Integer.toString(patienceSeconds));
        // Not through DriverManager: it knows only drivers of the class loader that asked it first, which on a cluster
        // is
        // that of an earlier job.
        Connection connection = new Driver().connect(url, properties);
        try (Statement statement = connection.createStatement()) {
            statement.execute(
                    """
                    SET lock_timeout = '10s';
                    SET idle_in_transaction_session_timeout = '60s';
                    SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'""");
            connection.setAutoCommit(false);
            return connection;
        } catch (SQLException e) {
            connection.close();
            throw e;
        }
    }

    /** How many hosts the URL names: where the first ones don't answer, there must be time for the last. */
    private int hosts() {
        return toString().split(",").length;
    }

    /** The address without parameters, which may hold secrets. */
    @Override
    public String toString() {
        return url.substring("jdbc:".length()).replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    }
}
