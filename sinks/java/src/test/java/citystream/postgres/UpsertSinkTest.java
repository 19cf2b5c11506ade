package citystream.postgres;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import citystream.postgres.UnreliableNetwork.From;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.testutils.MetricListener;
import org.apache.flink.runtime.metrics.groups.MetricsGroupTestUtils;
import org.apache.flink.streaming.runtime.tasks.TestProcessingTimeService;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Totals against a real PostgreSQL: whatever is replayed, cut or sent in another order, the newest version of a key
 * stands.
 */
@Timeout(120)
class UpsertSinkTest {
    private static final RowType TYPE = RowType.of(
            new LogicalType[] {new IntType(), new VarCharType(20), new BigIntType(), new BigIntType()},
            new String[] {"day", "region", "pay", "version"});
    private static final String[] KEY = {"day", "region"};
    private static final AtomicInteger NEXT = new AtomicInteger();

    private final TestPostgres postgres = TestPostgres.shared();
    private final String table = "totals_" + NEXT.incrementAndGet();
    private final TestProcessingTimeService clock = new TestProcessingTimeService();
    private final List<UpsertWriter> writers = new ArrayList<>();
    private final MetricListener metrics = new MetricListener();
    private UnreliableNetwork network;

    @BeforeEach
    void makeTable() throws IOException {
        postgres.execute("CREATE TABLE %s (day int, region text, pay bigint, version bigint, PRIMARY KEY (day, region))"
                .formatted(table));
        network = new UnreliableNetwork(postgres);
    }

    @AfterEach
    void close() throws IOException {
        writers.forEach(UpsertWriter::close);
        network.close();
    }

    @Test
    void theNewestVersionStands() throws Exception {
        UpsertWriter writer = writer();
        writer.write(row(1, "중구", 100, 1), null);
        writer.write(row(1, "남구", 50, 1), null);
        writer.flush(false);
        writer.write(row(1, "중구", 300, 3), null);
        writer.flush(false);
        assertThat(totals()).containsExactly("1|남구|50|1", "1|중구|300|3");
    }

    @Test
    void aReplayNeverShowsAnOlderNumber() throws Exception {
        UpsertWriter writer = writer();
        writer.write(row(1, "a", 300, 3), null);
        writer.flush(false);
        UpsertWriter replay = writer();
        replay.write(row(1, "a", 100, 1), null);
        replay.flush(false);
        assertThat(totals()).containsExactly("1|a|300|3");
        replay.write(row(1, "a", 301, 3), null); // as new: the later word counts
        replay.flush(false);
        assertThat(totals()).containsExactly("1|a|301|3");
    }

    @Test
    void aBatchIsFoldedByKeyBeforeItIsSent() throws Exception {
        UpsertWriter writer = writer();
        for (int version = 1; version <= 1_000; version++) {
            writer.write(row(1, "a", version * 10, version), null);
            writer.write(row(1, "b", version * 20, version), null);
        }
        writer.write(row(1, "a", 0, 5), null); // out of order within the batch
        writer.flush(false);
        assertThat(totals()).containsExactly("1|a|10000|1000", "1|b|20000|1000");
    }

    @Test
    void keysThatLookAlikeAreNotFolded() throws Exception {
        UpsertWriter writer = writer();
        writer.write(row(1, "a\tb", 1, 1), null);
        writer.write(row(1, "a\\tb", 2, 1), null);
        writer.write(row(1, "", 3, 1), null);
        writer.write(row(11, "", 4, 1), null);
        writer.flush(false);
        assertThat(postgres.query("SELECT pay FROM %s ORDER BY pay".formatted(table)))
                .containsExactly("1", "2", "3", "4");
    }

    @Test
    void withoutAVersionTheFirstRowOfAKeyIsKept() throws Exception {
        UpsertWriter writer = writer(new UpsertSink(postgres.server(), table, TYPE, KEY, null, 5_000, 1_000));
        writer.write(row(1, "a", 1, 0), null);
        writer.write(row(1, "a", 2, 9), null);
        writer.flush(false);
        writer.write(row(1, "a", 3, 9), null);
        writer.write(row(1, "b", 4, 9), null);
        writer.flush(false);
        assertThat(totals()).containsExactly("1|a|1|0", "1|b|4|9");
    }

    @Test
    void aRowObjectThatIsReusedIsCopied() throws Exception {
        UpsertWriter writer = writer();
        GenericRowData reused = row(1, "a", 1, 1);
        writer.write(reused, null);
        reused.setField(1, StringData.fromString("b"));
        reused.setField(2, 2L);
        writer.write(reused, null);
        reused.setField(1, StringData.fromString("never sent"));
        writer.flush(false);
        assertThat(totals()).containsExactly("1|a|1|1", "1|b|2|1");
    }

    @Test
    void aFullBatchIsSentAtOnceAndTheRestByTheClock() throws Exception {
        UpsertWriter writer = writer(new UpsertSink(postgres.server(), table, TYPE, KEY, "version", 2, 1_000));
        writer.write(row(1, "a", 1, 1), null);
        assertThat(totals()).isEmpty();
        writer.write(row(1, "b", 1, 1), null);
        assertThat(totals()).hasSize(2);
        writer.write(row(1, "c", 1, 1), null);
        assertThat(totals()).hasSize(2);
        clock.advance(1_000);
        assertThat(totals()).hasSize(3);
        writer.write(row(1, "d", 1, 1), null);
        clock.advance(1_000);
        assertThat(totals()).hasSize(4);
    }

    @Test
    void parallelWritersWithTheSameKeysInAnyOrderDontDeadlock() throws Exception {
        long before = postgres.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<?>> all = new ArrayList<>();
            for (int w = 0; w < 4; w++) {
                UpsertWriter writer = writer();
                all.add(threads.submit(() -> {
                    List<Integer> keys =
                            new ArrayList<>(IntStream.range(0, 500).boxed().toList());
                    for (int version = 1; version <= 10; version++) {
                        Collections.shuffle(keys);
                        for (int key : keys) {
                            writer.write(row(key, "r", version, version), null);
                        }
                        writer.flush(false);
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get(60, SECONDS);
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(postgres.query("SELECT count(*), min(pay), max(pay) FROM " + table))
                .containsExactly("500|10|10");
        postgres.query("SELECT pg_stat_clear_snapshot()");
        assertThat(postgres.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
                .isEqualTo(before);
    }

    @Test
    void lostAnswersAndLostBatchesAreSentAgainAndCounted() throws Exception {
        UpsertWriter writer = writer(sink(postgres.server(network.port())));
        for (String moment : List.of("COPY 1\0", "INSERT 0 1\0", "COMMIT\0")) {
            writer.write(row(1, moment.substring(0, 4), 7, 1), null);
            UnreliableNetwork.Trap trap = network.cutOn(From.SERVER, moment);
            writer.flush(false);
            trap.awaitSprung();
        }
        assertThat(totals()).containsExactly("1|COMM|7|1", "1|COPY|7|1", "1|INSE|7|1");
        assertThat(metrics.getCounter("retries")).map(Counter::getCount).hasValue(3L);
    }

    @Test
    void whilePostgresIsAwayTheWriterWaitsAndLosesNothing() throws Exception {
        UpsertWriter writer = writer(sink(postgres.server(network.port())));
        writer.write(row(1, "a", 1, 1), null);
        network.goDown();
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            Future<?> flushing = thread.submit(() -> {
                writer.flush(false);
                return null;
            });
            network.awaitRefusals();
            assertThat(flushing).isNotDone();
            network.comeUp();
            flushing.get(30, SECONDS);
        } finally {
            thread.shutdownNow();
        }
        assertThat(totals()).containsExactly("1|a|1|1");
    }

    @Test
    void anUpdateIsItsNewRowAndADeleteIsRefused() throws Exception {
        UpsertWriter writer = writer();
        GenericRowData before = row(1, "a", 1, 1);
        before.setRowKind(RowKind.UPDATE_BEFORE);
        GenericRowData after = row(1, "a", 2, 2);
        after.setRowKind(RowKind.UPDATE_AFTER);
        writer.write(before, null);
        writer.write(after, null);
        writer.flush(true);
        assertThat(totals()).containsExactly("1|a|2|2");
        GenericRowData delete = row(1, "a", 2, 3);
        delete.setRowKind(RowKind.DELETE);
        assertThatIOException()
                .isThrownBy(() -> writer.write(delete, null))
                .withMessageContaining("never deleted from");
    }

    @Test
    void whatCannotWorkIsOneSentenceAtTheStart() {
        assertThatIOException()
                .isThrownBy(
                        () -> writer(new UpsertSink(postgres.server(), "no_such_totals", TYPE, KEY, "version", 9, 9)))
                .withMessageContaining("no_such_totals")
                .withMessageContaining("run `make prepare`");
        postgres.execute("CREATE TABLE %s_short (day int, region text, PRIMARY KEY (day, region))".formatted(table));
        assertThatIOException()
                .isThrownBy(
                        () -> writer(new UpsertSink(postgres.server(), table + "_short", TYPE, KEY, "version", 9, 9)))
                .withMessageContaining("pay")
                .withMessageContaining("run `make prepare`");
        assertThatIOException()
                .isThrownBy(() ->
                        writer(new UpsertSink(postgres.server(), table, TYPE, new String[] {"day"}, "version", 9, 9)))
                .withMessageContaining("give the table a primary key or a unique index on the key columns");
        assertThatIllegalArgumentException()
                .isThrownBy(() ->
                        new UpsertSink("jdbc:postgresql://h/d", "u", "p", table, TYPE, new String[] {"dya"}, null))
                .withMessageContaining("dya");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new UpsertSink("jdbc:postgresql://h/d", "u", "p", table, TYPE, KEY, "region"))
                .withMessageContaining("region");
    }

    @Test
    void theSinkIsSerializableAndKeepsItsSecret() throws Exception {
        UpsertSink sink = new UpsertSink("jdbc:postgresql://h/d", "u", "s3cret", table, TYPE, KEY, "version");
        assertThat(InstantiationUtil.clone(sink).toString())
                .isEqualTo(sink.toString())
                .doesNotContain("s3cret");
    }

    private UpsertSink sink(PostgresServer server) {
        return new UpsertSink(server, table, TYPE, KEY, "version", 5_000, 1_000);
    }

    private UpsertWriter writer() throws IOException {
        return writer(sink(postgres.server()));
    }

    private UpsertWriter writer(UpsertSink sink) throws IOException {
        UpsertWriter writer = new UpsertWriter(
                sink, "test", 0, clock, MetricsGroupTestUtils.mockWriterMetricGroup(metrics.getMetricGroup()));
        writers.add(writer);
        return writer;
    }

    private List<String> totals() {
        return postgres.query("SELECT * FROM %s ORDER BY day, region COLLATE \"C\"".formatted(table));
    }

    private static GenericRowData row(int day, String region, long pay, long version) {
        return GenericRowData.of(day, StringData.fromString(region), pay, version);
    }
}
