package citystream.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Whole Flink jobs into the ledger, while operators fail and connections are cut at random moments. */
@Timeout(180)
class StagedCommitJobTest {
    private static final int ROWS = 30_000;
    private static final int FAILURES = 6;
    private static final AtomicInteger failures = new AtomicInteger();

    @RegisterExtension
    static final MiniClusterExtension FLINK = new MiniClusterExtension(new MiniClusterResourceConfiguration.Builder()
            .setNumberTaskManagers(1)
            .setNumberSlotsPerTaskManager(4)
            .build());

    private final TestPostgres postgres = TestPostgres.shared();

    @Test
    void randomFailuresAndCutConnectionsLoseAndRepeatNothing() throws Exception {
        postgres.execute("CREATE TABLE job_ledger (id text PRIMARY KEY, amount bigint)");
        failures.set(0);
        StreamExecutionEnvironment env = environment(RuntimeExecutionMode.STREAMING);
        env.enableCheckpointing(100);
        try (UnreliableNetwork network = new UnreliableNetwork(postgres)) {
            run(env, postgres.server(network.port()), "job_ledger", true);
            JobClient job = env.executeAsync();
            while (!job.getJobStatus().get().isGloballyTerminalState()) {
                Thread.sleep(ThreadLocalRandom.current().nextInt(50, 600));
                network.cutAll();
            }
            job.getJobExecutionResult().get();
        }
        assertThat(failures.get()).as("failures that happened").isGreaterThanOrEqualTo(3);
        expectRows("job_ledger");
        // Clearing up that a cut connection ended is left to whoever comes next.
        StreamExecutionEnvironment next = environment(RuntimeExecutionMode.STREAMING);
        run(next, postgres.server(), "job_ledger", false);
        next.execute();
        expectAll("job_ledger");
    }

    @Test
    void aBatchJobIsCommittedAtItsEnd() throws Exception {
        postgres.execute("CREATE TABLE batch_ledger (id text PRIMARY KEY, amount bigint)");
        StreamExecutionEnvironment env = environment(RuntimeExecutionMode.BATCH);
        run(env, postgres.server(), "batch_ledger", false);
        env.execute();
        expectAll("batch_ledger");
    }

    @Test
    void aStreamWithoutCheckpointsIsCommittedAtItsEnd() throws Exception {
        postgres.execute("CREATE TABLE plain_ledger (id text PRIMARY KEY, amount bigint)");
        StreamExecutionEnvironment env = environment(RuntimeExecutionMode.STREAMING);
        run(env, postgres.server(), "plain_ledger", false);
        env.execute();
        expectAll("plain_ledger");
    }

    private static StreamExecutionEnvironment environment(RuntimeExecutionMode mode) {
        Configuration configuration = new Configuration();
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 2 * FAILURES);
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(10));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setRuntimeMode(mode);
        env.setParallelism(2);
        env.getConfig().enableObjectReuse();
        return env;
    }

    private static void run(StreamExecutionEnvironment env, PostgresServer server, String table, boolean fails) {
        env.fromSequence(1, ROWS)
                .map(fails ? new Unreliable() : StagedCommitJobTest::row)
                .returns(InternalTypeInfo.of(SuiteRow.TYPE))
                .sinkTo(new StagedCommitSink(server, table, table, SuiteRow.TYPE, null, 20_000));
    }

    private static RowData row(long number) {
        return GenericRowData.of(StringData.fromString("order-" + number), number);
    }

    private void expectRows(String table) {
        assertThat(postgres.query("SELECT count(*), sum(amount) FROM " + table))
                .containsExactly("%d|%d".formatted(ROWS, ROWS * (ROWS + 1L) / 2));
        assertThat(postgres.number("SELECT count(*) FROM staging.epochs WHERE ledger = '%s' AND committed_at IS NULL"
                        .formatted(table)))
                .isZero();
    }

    private void expectAll(String table) {
        expectRows(table);
        assertThat(postgres.number(
                        """
                        SELECT count(*) FROM staging.epochs e JOIN pg_class c ON c.relname = 'e_' || e.token
                        WHERE e.ledger = '%s'"""
                                .formatted(table)))
                .isZero();
    }

    /** About 10,000 rows per second, and a failure now and then. */
    private static final class Unreliable implements MapFunction<Long, RowData> {
        private int seen;

        @Override
        public RowData map(Long number) throws Exception {
            if (++seen % 10 == 0) {
                Thread.sleep(1);
            }
            if (ThreadLocalRandom.current().nextInt(4_000) == 0 && failures.incrementAndGet() <= FAILURES) {
                throw new IllegalStateException("A failure at a random moment");
            }
            return row(number);
        }
    }
}
