package citystream.postgres;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;

/** What the ledger's writer and committer agree on: where an epoch's rows are, and how it is removed. */
final class Staging {
    private Staging() {}

    static String table(String token) {
        return "staging." + Columns.quoted("e_" + token);
    }

    static void drop(Connection connection, String token) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS " + table(token));
        }
        update(connection, "DELETE FROM staging.epochs WHERE token = ?", token);
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
