package citystream.postgres;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import java.util.UUID;

/**
 * A real PostgreSQL for the tests: the one that {@code POSTGRES_URL} names
 * (postgresql://user:password@host:port/database), else one that starts with the first test and ends with the last
 * (started as root it runs in a user namespace of its own, since PostgreSQL refuses root). Either way the tests have a
 * database to themselves, which is dropped at the end.
 */
final class TestPostgres {
    private static final List<String> MIGRATIONS = List.of("0002_staged_commit", "0004_staging_upkeep");
    private static TestPostgres shared;

    final String host;
    final int port;
    final String database = "citystream_test_" + UUID.randomUUID().toString().substring(0, 8);
    private final String user;
    private final String password;

    static synchronized TestPostgres shared() {
        if (shared == null) {
            try {
                shared = new TestPostgres();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }
        return shared;
    }

    private TestPostgres() throws IOException, SQLException {
        String given = System.getenv("POSTGRES_URL");
        String home;
        if (given != null && !given.isBlank()) {
            URI uri = URI.create(given);
            String[] credentials = uri.getUserInfo() == null
                    ? new String[] {"postgres"}
                    : uri.getUserInfo().split(":", 2);
            host = uri.getHost();
            port = uri.getPort() < 0 ? 5432 : uri.getPort();
            user = credentials[0];
            password = credentials.length > 1 ? credentials[1] : "";
            home = uri.getPath().substring(1);
        } else {
            EmbeddedPostgres server = EmbeddedPostgres.builder()
                    .setServerConfig("max_connections", "60")
                    .start();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> close(server)));
            host = "localhost";
            port = server.getPort();
            user = "postgres";
            password = "postgres";
            home = "postgres";
        }
        try (Connection connection = open(home);
                Statement statement = connection.createStatement()) {
            statement.execute("CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0".formatted(database));
        }
        if (given != null && !given.isBlank()) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> drop(home)));
        }
        for (String name : MIGRATIONS) {
            execute(Files.readString(Path.of("../../sql/postgres", name + ".sql")));
        }
    }

    PostgresServer server() {
        return server(port);
    }

    /** The same server by way of a proxy's port. */
    PostgresServer server(int viaPort) {
        return new PostgresServer("jdbc:postgresql://%s:%d/%s".formatted(host, viaPort, database), user, password);
    }

    String user() {
        return user;
    }

    String password() {
        return password;
    }

    /** A connection outside of any session under test, in autocommit mode. */
    Connection open() throws SQLException {
        return open(database);
    }

    private Connection open(String into) throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://%s:%d/%s".formatted(host, port, into), user, password);
    }

    void execute(String sql) {
        try (Connection connection = open();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Each row as its columns with a bar between them. */
    List<String> query(String sql) {
        try (Connection connection = open();
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            List<String> rows = new ArrayList<>();
            int columns = result.getMetaData().getColumnCount();
            while (result.next()) {
                StringJoiner row = new StringJoiner("|");
                for (int i = 1; i <= columns; i++) {
                    row.add(result.getString(i));
                }
                rows.add(row.toString());
            }
            return rows;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    long number(String sql) {
        return Long.parseLong(query(sql).get(0));
    }

    private static void close(EmbeddedPostgres server) {
        try {
            server.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void drop(String home) {
        try (Connection connection = open(home);
                Statement statement = connection.createStatement()) {
            statement.execute("DROP DATABASE %s WITH (FORCE)".formatted(database));
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
