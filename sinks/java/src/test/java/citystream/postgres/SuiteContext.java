package citystream.postgres;

import java.net.URL;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.function.BiFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.connector.testframe.external.ExternalSystemDataReader;
import org.apache.flink.connector.testframe.external.sink.DataStreamSinkV2ExternalContext;
import org.apache.flink.connector.testframe.external.sink.TestingSinkSettings;
import org.apache.flink.table.data.RowData;

/** PostgreSQL as Flink's sink suite sees it: a table per test, written by a sink and read by SQL. */
final class SuiteContext implements DataStreamSinkV2ExternalContext<SuiteRow> {
    private final TestPostgres postgres = TestPostgres.shared();
    private final String table = "suite_" + UUID.randomUUID().toString().replace("-", "");
    private final BiFunction<PostgresServer, String, Sink<RowData>> sinkOf;

    SuiteContext(BiFunction<PostgresServer, String, Sink<RowData>> sinkOf) {
        this.sinkOf = sinkOf;
        postgres.execute("CREATE TABLE %s (id text PRIMARY KEY, amount bigint)".formatted(table));
    }

    /** A sink of rows takes every kind of row: a Sink only ever consumes its type. */
    @Override
    @SuppressWarnings("unchecked")
    public Sink<SuiteRow> createSink(TestingSinkSettings settings) {
        return (Sink<SuiteRow>) (Sink<?>) sinkOf.apply(postgres.server(), table);
    }

    /**
     * Each row is handed out once, as soon as it is visible; a row that was there and then is not would be seen as
     * missing.
     */
    @Override
    public ExternalSystemDataReader<SuiteRow> createSinkDataReader(TestingSinkSettings settings) {
        List<SuiteRow> seen = new ArrayList<>();
        return new ExternalSystemDataReader<>() {
            @Override
            public List<SuiteRow> poll(java.time.Duration timeout) {
                List<SuiteRow> fresh = new ArrayList<>(postgres.query("SELECT id, amount FROM " + table).stream()
                        .map(row -> row.split("\\|"))
                        .map(fields -> new SuiteRow(fields[0], Long.parseLong(fields[1])))
                        .toList());
                seen.forEach(fresh::remove);
                seen.addAll(fresh);
                fresh.sort(Comparator.naturalOrder());
                return fresh;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public List<SuiteRow> generateTestData(TestingSinkSettings settings, long seed) {
        Random random = new Random(seed);
        return random.longs(200)
                .mapToObj(amount -> new SuiteRow(UUID.randomUUID().toString(), amount))
                .toList();
    }

    @Override
    public TypeInformation<SuiteRow> getProducedType() {
        return TypeInformation.of(SuiteRow.class);
    }

    @Override
    public List<URL> getConnectorJarPaths() {
        return List.of();
    }

    @Override
    public void close() {
        postgres.execute("DROP TABLE " + table);
    }

    @Override
    public String toString() {
        return "PostgreSQL";
    }
}
