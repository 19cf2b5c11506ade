package citystream.postgres;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import citystream.postgres.UnreliableNetwork.From;
import java.io.IOException;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.flink.api.connector.sink2.mocks.MockCommitRequest;
import org.apache.flink.runtime.metrics.groups.MetricsGroupTestUtils;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.BooleanType;
import org.apache.flink.table.types.logical.DateType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.DoubleType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.TimestampType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The ledger against a real PostgreSQL, at every point where something can be killed. A crash is a writer that is given
 * up where it stands (its connection cut, nothing closed in order); a restore is a new writer with the id of the
 * checkpoint.
 */
@Timeout(120)
class StagedCommitSinkTest {
    private static final RowType TYPE = RowType.of(
            new LogicalType[] {new VarCharType(64), new BigIntType(), new LocalZonedTimestampType(3)},
            new String[] {"id", "amount", "at"});
    private static final AtomicInteger NEXT = new AtomicInteger();

    private final TestPostgres postgres = TestPostgres.shared();
    private final String table = "ledger_" + NEXT.incrementAndGet();
    private final String name = "test." + table;
    private final List<StagedWriter> writers = new ArrayList<>();
    private UnreliableNetwork network;

    @BeforeEach
    void makeTable() throws IOException {
        postgres.execute("CREATE TABLE %s (id text PRIMARY KEY, amount bigint, at timestamptz, note text DEFAULT 'x')"
                .formatted(table));
        network = new UnreliableNetwork(postgres);
    }

    @AfterEach
    void close() throws IOException {
        writers.forEach(StagedWriter::close);
        network.close();
    }

    // ------------------------------------------------------------------ the ordinary way

    @Test
    void rowsAreInTheLedgerOnceTheirCheckpointIsComplete() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        List<Epoch> epochs = checkpoint(writer, 1);
        assertThat(ledger()).isEmpty();

        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(1, 10));
        assertNothingStaged();
        assertThat(postgres.query(
                        "SELECT rows, inserted, checkpoint_id FROM staging.epochs WHERE ledger = '%s'".formatted(name)))
                .containsExactly("10|10|1");
    }

    @Test
    void anEpochOfManyChunksIsOne() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 500);
        assertThat(postgres.number("SELECT chunks FROM staging.epochs WHERE ledger = '%s'".formatted(name)))
                .isGreaterThan(5);
        commit(checkpoint(writer, 1));
        assertThat(ledger()).isEqualTo(ids(1, 500));
    }

    @Test
    void aCheckpointWithoutRowsCommitsNothing() throws Exception {
        StagedWriter writer = writer(0);
        assertThat(checkpoint(writer, 1)).isEmpty();
        write(writer, 1, 1);
        assertThat(checkpoint(writer, 2)).hasSize(1);
        assertThat(checkpoint(writer, 3)).isEmpty();
    }

    @Test
    void whatTheSourceRepeatsIsKeptOnce() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        commit(checkpoint(writer, 1));
        writer.write(row("00005", 999), null);
        write(writer, 10, 12);
        commit(checkpoint(writer, 2));
        assertThat(ledger()).isEqualTo(ids(1, 12));
        assertThat(postgres.number("SELECT amount FROM %s WHERE id = '00005'".formatted(table)))
                .isEqualTo(5);
        assertThat(postgres.query("SELECT rows, inserted FROM staging.epochs WHERE ledger = '%s' AND checkpoint_id = 2"
                        .formatted(name)))
                .containsExactly("4|2");
    }

    @Test
    void anEpochKnowsItsOldestRow() throws Exception {
        StagedWriter writer = writer(0);
        writer.write(row("b", 2_000), null);
        writer.write(row("a", 1_000), null);
        assertThat(checkpoint(writer, 1).get(0).oldestMillis()).isEqualTo(1_000);
        writer.write(row("c", 3_000), null);
        assertThat(checkpoint(writer, 2).get(0).oldestMillis()).isEqualTo(3_000);
    }

    @Test
    void withoutCheckpointsRowsAppearWhenTheInputEnds() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        writer.flush(true);
        commit(writer.prepareCommit());
        assertThat(ledger()).isEqualTo(ids(1, 10));
        assertNothingStaged();
    }

    @Test
    void whatEndedTheInputIsBoundToTheFinalCheckpoint() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        writer.flush(true);
        List<Epoch> epochs = List.copyOf(writer.prepareCommit());
        writer.snapshotState(7);
        crash(writer);

        writer(7);
        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(1, 10));
    }

    // ------------------------------------------------------------------ a crash at every point

    @Test
    void crashBeforeAnythingIsSent() throws Exception {
        StagedWriter writer = writer(0, 1, 0, 1 << 20, postgres.server());
        write(writer, 1, 10);
        crash(writer);
        replayAndExpectExactlyOnce(0);
    }

    @Test
    void crashBetweenChunks() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        assertThat(stagingTables()).isEqualTo(1);
        crash(writer);
        replayAndExpectExactlyOnce(0);
    }

    @Test
    void crashInTheMiddleOfAChunk() throws Exception {
        StagedWriter writer = writerViaNetwork();
        write(writer, 1, 100);
        UnreliableNetwork.Trap trap = network.holdOn(From.SERVER, "COPY ");
        CompletableFuture<Void> chunk = inBackground(() -> write(writer, 101, 200));
        trap.awaitSprung();
        network.goDown();
        replayAndExpectExactlyOnce(0);

        trap.release();
        network.comeUp();
        assertFenced(chunk);
    }

    @Test
    void crashAfterTheLastChunkBeforeTheSnapshot() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        writer.flush(false);
        assertThat(writer.prepareCommit()).hasSize(1);
        crash(writer);
        replayAndExpectExactlyOnce(0);
    }

    @Test
    void crashAfterTheSnapshotOfACheckpointThatFailed() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        checkpoint(writer, 1);
        crash(writer);
        replayAndExpectExactlyOnce(0);
    }

    @Test
    void crashAfterTheCheckpointBeforeTheCommit() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> known = checkpoint(writer, 1);
        crash(writer);

        StagedWriter restored = writer(1);
        commit(known);
        write(restored, 101, 120);
        commit(checkpoint(restored, 2));
        assertThat(ledger()).isEqualTo(ids(1, 120));
        assertNothingStaged();
    }

    @Test
    void crashAfterTheCommitCommitsTwice() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> known = checkpoint(writer, 1);
        commit(known);
        postgres.execute(
                "DELETE FROM %s WHERE id = '00001'".formatted(table)); // would come back if it were moved again

        assertThat(commit(known)).as("answered: already committed").isEqualTo(1);
        assertThat(ledger()).isEqualTo(ids(2, 100));
        assertNothingStaged();
    }

    @Test
    void crashInTheMiddleOfTheCommit() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> known = checkpoint(writer, 1);
        UnreliableNetwork.Trap trap = network.holdOn(From.SERVER, "INSERT 0 100");
        CompletableFuture<Void> killed = inBackground(() -> commit(viaNetwork(), known));
        trap.awaitSprung();
        network.goDown();
        assertThat(ledger()).isEmpty();

        commit(known); // the restored job's committer
        assertThat(ledger()).isEqualTo(ids(1, 100));
        assertNothingStaged();
        trap.release();
        network.comeUp();
        killed.get(30, SECONDS);
        assertThat(ledger()).isEqualTo(ids(1, 100));
    }

    @Test
    void checkpointsThatFailedAreCommittedWithTheNextOne() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        List<Epoch> epochs = new ArrayList<>(checkpoint(writer, 1)); // never completes; Flink keeps the committable
        write(writer, 11, 20);
        epochs.addAll(checkpoint(writer, 2));
        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(1, 20));
    }

    // ------------------------------------------------------------------ answers that never came

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void theAnswerToAChunksCommitIsLost(int chunk) throws Exception {
        StagedWriter writer = writerViaNetwork();
        if (chunk == 2) {
            write(writer, 1, 10);
            writer.flush(false);
        }
        write(writer, 11, 20);
        UnreliableNetwork.Trap trap = network.cutOn(From.SERVER, "COMMIT\0");
        writer.flush(false);
        trap.awaitSprung();
        expectStagedOnce(writer, chunk == 2 ? 1 : 11, 20);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aChunksCommitNeverArrives(int chunk) throws Exception {
        StagedWriter writer = writerViaNetwork();
        if (chunk == 2) {
            write(writer, 1, 10);
            writer.flush(false);
        }
        write(writer, 11, 20);
        UnreliableNetwork.Trap trap = network.cutOn(From.SERVER, "COPY 10\0");
        writer.flush(false);
        trap.awaitSprung();
        expectStagedOnce(writer, chunk == 2 ? 1 : 11, 20);
    }

    @Test
    void theConnectionBreaksWithinAChunk() throws Exception {
        StagedWriter writer = writerViaNetwork();
        write(writer, 1, 10);
        UnreliableNetwork.Trap trap = network.cutOn(From.CLIENT, "00007");
        writer.flush(false);
        trap.awaitSprung();
        expectStagedOnce(writer, 1, 10);
    }

    @Test
    void theAnswerToTheBindingIsLost() throws Exception {
        StagedWriter writer = writerViaNetwork();
        write(writer, 1, 10);
        writer.flush(false);
        List<Epoch> epochs = List.copyOf(writer.prepareCommit());
        UnreliableNetwork.Trap trap = network.cutOn(From.SERVER, "COMMIT\0");
        writer.snapshotState(1);
        trap.awaitSprung();
        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(1, 10));
    }

    @Test
    void theAnswerToTheCommitIsLost() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        List<Epoch> epochs = checkpoint(writer, 1);
        UnreliableNetwork.Trap trap = network.cutOn(From.SERVER, "COMMIT\0");
        try (StagedCommitter committer = committer(viaNetwork())) {
            // The first COMMIT is that of the new connection's settings; the trap after it is the one that matters.
            CompletableFuture<Void> committed =
                    inBackground(() -> committer.commit(List.of(new MockCommitRequest<>(epochs.get(0)))));
            trap.awaitSprung();
            committed.get(30, SECONDS);
            write(writer, 11, 20);
            List<Epoch> second = checkpoint(writer, 2);
            UnreliableNetwork.Trap commitTrap = network.cutOn(From.SERVER, "COMMIT\0");
            AtomicInteger repeats = new AtomicInteger();
            committer.commit(List.of(request(second.get(0), repeats)));
            commitTrap.awaitSprung();
            assertThat(repeats).hasValue(1);
        }
        assertThat(ledger()).isEqualTo(ids(1, 20));
        assertNothingStaged();
    }

    // ------------------------------------------------------------------ PostgreSQL away

    @Test
    void everySessionIsTerminatedInTheMiddleOfAnEpoch() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        terminateSessions();
        write(writer, 101, 200);
        terminateSessions();
        List<Epoch> epochs = checkpoint(writer, 1);
        terminateSessions();
        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(1, 200));
        assertNothingStaged();
    }

    @Test
    void whilePostgresIsAwayTheWriterWaitsAndLosesNothing() throws Exception {
        StagedWriter writer = writerViaNetwork();
        write(writer, 1, 100);
        network.goDown();
        CompletableFuture<Void> writing = inBackground(() -> write(writer, 101, 300));
        network.awaitRefusals();
        assertThat(writing).isNotDone();
        network.comeUp();
        writing.get(60, SECONDS);
        expectStagedOnce(writer, 1, 300);
    }

    @Test
    void aWriterWaitsForAServerThatIsNotUpYet() throws Exception {
        network.goDown();
        CompletableFuture<Void> opening = inBackground(this::writerViaNetwork);
        network.awaitRefusals();
        network.comeUp();
        opening.get(30, SECONDS);
    }

    @Test
    void cancellingEndsTheWait() throws Exception {
        StagedWriter writer = writerViaNetwork();
        write(writer, 1, 10);
        network.goDown();
        CompletableFuture<Throwable> outcome = new CompletableFuture<>();
        Thread task = new Thread(() -> {
            try {
                writer.flush(false);
                outcome.complete(null);
            } catch (Throwable e) {
                outcome.complete(e);
            }
        });
        task.start();
        network.awaitRefusals();
        task.interrupt();
        assertThat(outcome.get(30, SECONDS)).isInstanceOf(InterruptedException.class);
    }

    @Test
    void aDeadlockIsTriedAgain() throws Exception {
        StagedWriter writer = writer(0);
        writer.write(row("a", 1), null);
        writer.write(row("b", 1), null);
        List<Epoch> epochs = checkpoint(writer, 1);
        try (Connection other = postgres.open();
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            statement.execute("INSERT INTO %s VALUES ('b', 2)".formatted(table));
            CompletableFuture<Void> committing = inBackground(() -> commit(epochs));
            awaitWaitingSession();
            // The committer has waited longer, so it is the first to look for a deadlock, and the one to give way.
            statement.execute("INSERT INTO %s VALUES ('a', 2)".formatted(table));
            other.commit();
            committing.get(30, SECONDS);
        }
        assertThat(postgres.query("SELECT id, amount FROM %s ORDER BY id".formatted(table)))
                .containsExactly("a|2", "b|2");
        assertNothingStaged();
    }

    // ------------------------------------------------------------------ writers that should be dead

    @Test
    void aZombieCanBeginNoEpoch() throws Exception {
        StagedWriter zombie = writer(0);
        writer(0);
        write(zombie, 1, 10);
        assertThatIOException()
                .isThrownBy(() -> zombie.flush(false))
                .withMessageContaining("Another attempt of this writer took over");
        assertNothingStaged();
    }

    @Test
    void aZombieCanContinueNoEpoch() throws Exception {
        StagedWriter zombie = writer(0);
        write(zombie, 1, 100);
        writer(0);
        assertThatIOException().isThrownBy(() -> write(zombie, 101, 200)).withMessageContaining("Another attempt");
        assertNothingStaged();
    }

    @Test
    void aZombieCanBindNoEpoch() throws Exception {
        StagedWriter zombie = writer(0);
        write(zombie, 1, 100);
        zombie.flush(false);
        zombie.prepareCommit();
        writer(0);
        assertThatIOException().isThrownBy(() -> zombie.snapshotState(1)).withMessageContaining("Another attempt");
        assertNothingStaged();
    }

    @Test
    void aZombieThatHangsWithinAChunkHoldsNobodyUp() throws Exception {
        StagedWriter zombie = writerViaNetwork();
        write(zombie, 1, 10);
        UnreliableNetwork.Trap trap = network.holdOn(From.SERVER, "COPY 10\0");
        CompletableFuture<Void> hanging = inBackground(() -> zombie.flush(false));
        trap.awaitSprung();

        inBackground(() -> replayAndExpectExactlyOnce(0)).get(30, SECONDS); // its locks would last a minute
        trap.release();
        assertFenced(hanging);
        assertThat(ledger()).isEqualTo(ids(1, 100));
        assertNothingStaged();
    }

    /**
     * A dead attempt may be slow to open: it comes after its successor, whose epoch a complete checkpoint may already
     * contain.
     */
    @Test
    void aZombieThatTakesOverDropsNothingThatACheckpointContains() throws Exception {
        StagedWriter live = writer(0);
        write(live, 1, 100);
        List<Epoch> known = checkpoint(live, 1); // completes
        StagedWriter zombie = writer(0); // restored from before it
        write(zombie, 1, 50);
        zombie.flush(false);
        commit(known);
        assertThat(ledger()).isEqualTo(ids(1, 100));

        assertThatIOException().isThrownBy(() -> write(live, 101, 200)).withMessageContaining("Another attempt");
        StagedWriter next = writer(1);
        write(next, 101, 200);
        commit(checkpoint(next, 2));
        assertThat(ledger()).isEqualTo(ids(1, 200));
        assertNothingStaged();
    }

    // ------------------------------------------------------------------ another parallelism, an older savepoint

    @Test
    void rescaledDown() throws Exception {
        List<Epoch> known = new ArrayList<>();
        List<StagedWriter> old = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            StagedWriter writer = writer(i, 4, 0);
            old.add(writer);
            write(writer, 1 + 100 * i, 100 + 100 * i);
            known.addAll(checkpoint(writer, 1));
            write(writer, 1001 + 100 * i, 1100 + 100 * i); // after the savepoint
        }
        assertThat(stagingTables()).isEqualTo(8);
        StagedWriter first = writer(0, 2, 1);
        StagedWriter second = writer(1, 2, 1);
        assertThat(stagingTables()).isEqualTo(4);
        commit(known);
        for (StagedWriter zombie : old) {
            assertThatIOException()
                    .isThrownBy(() -> write(zombie, 5000, 5100))
                    .withMessageContaining("Another attempt");
        }
        write(first, 401, 500);
        write(second, 501, 600);
        known.addAll(checkpoint(first, 2));
        known.addAll(checkpoint(second, 2));
        commit(known);
        assertThat(ledger()).isEqualTo(ids(1, 600));
        assertNothingStaged();
    }

    @Test
    void rescaledUp() throws Exception {
        List<Epoch> known = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            StagedWriter writer = writer(i, 2, 0);
            write(writer, 1 + 100 * i, 100 + 100 * i);
            known.addAll(checkpoint(writer, 1));
            write(writer, 1001 + 100 * i, 1100 + 100 * i); // after the savepoint
        }
        for (int i = 0; i < 4; i++) {
            StagedWriter writer = writer(i, 4, 1);
            write(writer, 201 + 100 * i, 300 + 100 * i);
            known.addAll(checkpoint(writer, 2));
        }
        commit(known);
        assertThat(ledger()).isEqualTo(ids(1, 600));
        assertNothingStaged();
    }

    @Test
    void theFailoverOfOneSubtaskLeavesTheOthersAlone() throws Exception {
        StagedWriter left = writer(0, 2, 0);
        StagedWriter right = writer(1, 2, 0);
        write(left, 1, 100);
        write(right, 101, 200);
        crash(left);
        StagedWriter restored = writer(0, 2, 0);
        write(right, 201, 300);
        write(restored, 1, 100);
        commit(checkpoint(restored, 1));
        commit(checkpoint(right, 1));
        assertThat(ledger()).isEqualTo(ids(1, 300));
        assertNothingStaged();
    }

    @Test
    void anotherLedgersWriterIsAnother() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        String otherTable = table + "_other";
        postgres.execute("CREATE TABLE %s (id text PRIMARY KEY, amount bigint, at timestamptz)".formatted(otherTable));
        new StagedWriter(
                        new StagedCommitSink(postgres.server(), otherTable, name + ".other", TYPE, null, 1_000),
                        0,
                        1,
                        0,
                        MetricsGroupTestUtils.mockWriterMetricGroup())
                .close();
        expectStagedOnce(writer, 1, 100);
    }

    @Test
    void restoredFromAnOlderSavepoint() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> savepoint = checkpoint(writer, 1);
        commit(savepoint);
        write(writer, 101, 200);
        commit(checkpoint(writer, 2));
        write(writer, 201, 300);
        checkpoint(writer, 3); // complete, but not committed when the job is stopped
        crash(writer);

        StagedWriter restored = writer(1);
        commit(savepoint);
        write(restored, 101, 400); // from the savepoint's offsets on
        commit(checkpoint(restored, 2));
        assertThat(ledger()).isEqualTo(ids(1, 400));
        assertNothingStaged();
    }

    @Test
    void startedAnewWithoutACheckpoint() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        checkpoint(writer, 40);
        crash(writer);
        replayAndExpectExactlyOnce(0);
    }

    @Test
    void orphansAreDroppedOnlyWithACompleteCheckpoint() throws Exception {
        StagedWriter first = writer(0);
        write(first, 1, 100);
        List<Epoch> known = checkpoint(first, 1);
        StagedWriter second = writer(0);
        List<Epoch> sweep = checkpoint(second, 1);
        assertThat(sweep).singleElement().satisfies(epoch -> {
            assertThat(epoch.rows()).isZero();
            assertThat(epoch.orphans()).containsExactly(known.get(0).token());
        });
        assertThat(stagingTables()).isEqualTo(1);
        commit(sweep);
        commit(sweep);
        assertNothingStaged();
        assertThat(ledger()).isEmpty();
    }

    @Test
    void anEpochThatIsNowhereEndsTheJobWithASentence() {
        Epoch nowhere = new Epoch("0123456789abcdef", 42, Epoch.NO_TIME, List.of());
        assertThatIOException()
                .isThrownBy(() -> commit(List.of(nowhere)))
                .withMessageContaining("0123456789abcdef")
                .withMessageContaining("42 rows")
                .withMessageContaining("Resume from the newest checkpoint");
    }

    @Test
    void committedEpochsAreForgottenAfterThirtyDaysAndTheirSumsStay() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 10);
        commit(checkpoint(writer, 1));
        write(writer, 8, 12); // three of them again
        commit(checkpoint(writer, 2));
        postgres.execute("UPDATE staging.epochs SET committed_at = now() - interval '31 days' WHERE ledger = '%s'"
                .formatted(name));
        write(writer, 12, 13);
        commit(checkpoint(writer, 3)); // while it runs: no restart is needed
        assertThat(postgres.query("SELECT checkpoint_id FROM staging.epochs WHERE ledger = '%s'".formatted(name)))
                .containsExactly("3");
        assertThat(postgres.query(
                        "SELECT purged_rows, purged_inserted FROM staging.writers WHERE ledger = '%s'".formatted(name)))
                .containsExactly("15|12");
        assertThat(repeats()).isEqualTo(3 + 1);
    }

    @Test
    void whatIsPurgedIsPurgedInBatchesWhileTheJobRuns() throws Exception {
        StagedWriter writer = writer(0);
        postgres.execute(
                """
                INSERT INTO staging.epochs (token, ledger, subtask, attempt, checkpoint_id, chunks, rows, committed_at, inserted)
                SELECT '%1$s-' || i, '%1$s', 0, gen_random_uuid(), i, 1, 10, now() - interval '40 days', 9
                FROM generate_series(1, 1200) i"""
                        .formatted(name));
        String old =
                "SELECT count(*) FROM staging.epochs WHERE ledger = '%s' AND committed_at < now() - interval '30 days'";
        List<Long> left = new ArrayList<>();
        for (int checkpoint = 1; checkpoint <= 3; checkpoint++) {
            write(writer, checkpoint, checkpoint);
            commit(checkpoint(writer, checkpoint));
            left.add(postgres.number(old.formatted(name)));
            assertThat(repeats()).isEqualTo(1200);
        }
        assertThat(left).containsExactly(700L, 200L, 0L);
    }

    @Test
    void epochsOfALineageThatWasAbandonedAreGivenUp() throws Exception {
        StagedWriter first = writer(0);
        write(first, 1, 100);
        List<Epoch> savepoint = checkpoint(first, 10);
        commit(savepoint);
        crash(first);
        StagedWriter anew = writer(0); // started without state: its checkpoints count from 1
        write(anew, 1, 50);
        checkpoint(anew, 5); // staged, never committed
        crash(anew);

        StagedWriter resumed = writer(10); // from the savepoint, whose number is later
        write(resumed, 101, 120);
        commit(checkpoint(resumed, 11));
        assertThat(ledger()).isEqualTo(ids(1, 120));
        assertNothingStaged();
    }

    // ------------------------------------------------------------------ readers that hold a staging table

    @Test
    void aLongReaderOfAStagingTableHoldsNobodyUp() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> epochs = checkpoint(writer, 1);
        try (Connection dump = reading(epochs.get(0))) {
            commit(epochs);
            assertThat(ledger()).isEqualTo(ids(1, 100));
            assertThat(stagingTables()).as("still being read").isEqualTo(1);
            write(writer, 101, 200);
            commit(checkpoint(writer, 2));
            assertThat(ledger()).isEqualTo(ids(1, 200));
            assertThat(stagingTables()).isEqualTo(1);
            assertThat(commit(epochs)).as("answered: already committed").isEqualTo(1);
            dump.rollback();
        }
        write(writer, 201, 300);
        commit(checkpoint(writer, 3));
        assertThat(ledger()).isEqualTo(ids(1, 300));
        assertNothingStaged();
    }

    @Test
    void aLongReaderHoldsNoTakeOverUp() throws Exception {
        StagedWriter writer = writer(0);
        write(writer, 1, 100);
        List<Epoch> bound = checkpoint(writer, 1);
        write(writer, 101, 200);
        writer.flush(false);
        Epoch unbound = writer.prepareCommit().iterator().next();
        try (Connection dump = reading(bound.get(0));
                Connection other = reading(unbound)) {
            crash(writer);
            replayAndGiveUp();
            assertThat(postgres.number(
                            "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename IN ('e_%s', 'e_%s')"
                                    .formatted(bound.get(0).token(), unbound.token())))
                    .isEqualTo(2);
            dump.rollback();
            other.rollback();
        }
        writer(1);
        assertNothingStaged();
    }

    /** A new attempt from no checkpoint completes one, while tables of the old attempt are read. */
    private void replayAndGiveUp() throws Exception {
        StagedWriter replay = writer(0);
        write(replay, 1, 100);
        commit(checkpoint(replay, 1));
        assertThat(ledger()).isEqualTo(ids(1, 100));
    }

    /** A session that reads an epoch's table in a transaction that stays open, as pg_dump does. */
    private Connection reading(Epoch epoch) throws Exception {
        Connection dump = postgres.open();
        dump.setAutoCommit(false);
        try (Statement statement = dump.createStatement()) {
            statement.execute("LOCK TABLE %s IN ACCESS SHARE MODE".formatted(Staging.table(epoch.token())));
        }
        return dump;
    }

    private long repeats() {
        return postgres.number(
                """
                SELECT (SELECT coalesce(sum(rows - inserted), 0) FROM staging.epochs WHERE ledger = '%1$s' AND committed_at IS NOT NULL)
                    + (SELECT coalesce(sum(purged_rows - purged_inserted), 0) FROM staging.writers WHERE ledger = '%1$s')"""
                        .formatted(name));
    }

    // ------------------------------------------------------------------ several hosts

    @Test
    void ofSeveralHostsThePrimaryIsTaken() throws Exception {
        PostgresServer either = new PostgresServer(
                "jdbc:postgresql://localhost:1,%s:%d/%s?targetServerType=primary"
                        .formatted(postgres.host, postgres.port, postgres.database),
                postgres.user(),
                postgres.password());
        StagedWriter writer = writer(0, 1, 0, 1_000, either);
        write(writer, 1, 10);
        commit(either, checkpoint(writer, 1));
        assertThat(ledger()).isEqualTo(ids(1, 10));
    }

    // ------------------------------------------------------------------ values

    @Test
    void everyCharacterComesThrough() throws Exception {
        String[] texts = {
            "tab\there",
            "line\nbreak",
            "return\rhere",
            "back\\slash",
            "\\.",
            "\\N",
            "\\",
            "'quotes' \"and\" more",
            "",
            " ",
            "대구광역시 중구",
            "🏙️🚲",
            "x\u0001\u007f\b\f\u000b",
            "ends with backslash\\",
            "\t",
            "\n",
            "NULL",
            "a,b;c|d",
            "e\u0301\u200d\uffff"
        };
        StagedWriter writer = writer(0);
        for (int i = 0; i < texts.length; i++) {
            writer.write(row(texts[i], i), null);
        }
        commit(checkpoint(writer, 1));
        assertThat(postgres.query("SELECT id FROM %s ORDER BY amount".formatted(table)))
                .containsExactly(texts);
    }

    @Test
    void everyTypeComesThrough() throws Exception {
        RowType type = RowType.of(
                new LogicalType[] {
                    new IntType(),
                    new VarCharType(10),
                    new BigIntType(),
                    new DoubleType(),
                    new BooleanType(),
                    new DateType(),
                    new TimestampType(6),
                    new LocalZonedTimestampType(3),
                    new DecimalType(20, 4)
                },
                new String[] {"k", "text", "big", "real", "yes", "day", "local", "instant", "exact"});
        String wide = table + "_wide";
        postgres.execute(
                """
                CREATE TABLE "%s" (k int PRIMARY KEY, "text" varchar(10), big bigint, "real" double precision, yes boolean,
                    day date, local timestamp, instant timestamptz, exact numeric(20, 4))"""
                        .formatted(wide));
        StagedCommitSink sink = new StagedCommitSink(postgres.server(), wide, wide, type, "instant", 1 << 20);
        try (StagedWriter writer = new StagedWriter(sink, 0, 1, 0, MetricsGroupTestUtils.mockWriterMetricGroup());
                StagedCommitter committer =
                        new StagedCommitter(sink, 0, 1, MetricsGroupTestUtils.mockCommitterMetricGroup())) {
            writer.write(
                    GenericRowData.of(
                            1,
                            StringData.fromString("one"),
                            Long.MIN_VALUE,
                            -1.5e-300,
                            true,
                            (int) LocalDate.of(1969, 12, 31).toEpochDay(),
                            TimestampData.fromLocalDateTime(LocalDateTime.of(1900, 1, 2, 3, 4, 5, 6_789_000)),
                            TimestampData.fromInstant(Instant.parse("9999-12-31T23:59:59.999Z")),
                            DecimalData.fromBigDecimal(new BigDecimal("-1234567890123456.7891"), 20, 4)),
                    null);
            writer.write(GenericRowData.of(2, null, null, null, null, null, null, null, null), null);
            writer.write(
                    GenericRowData.of(
                            Integer.MIN_VALUE,
                            StringData.fromString(""),
                            Long.MAX_VALUE,
                            Double.NaN,
                            false,
                            0,
                            TimestampData.fromEpochMillis(0),
                            TimestampData.fromEpochMillis(-1),
                            DecimalData.fromBigDecimal(new BigDecimal("0.0001"), 20, 4)),
                    null);
            writer.flush(false);
            for (Epoch epoch : writer.prepareCommit()) {
                committer.commit(List.of(new MockCommitRequest<>(epoch)));
            }
        }
        assertThat(postgres.query(
                        """
                        SELECT k, "text", big, "real", yes, day, local, instant AT TIME ZONE 'UTC', exact FROM "%s" ORDER BY k DESC"""
                                .formatted(wide)))
                .containsExactly(
                        "2|null|null|null|null|null|null|null|null",
                        "1|one|-9223372036854775808|-1.5e-300|t|1969-12-31|1900-01-02 03:04:05.006789|9999-12-31 23:59:59.999"
                                + "|-1234567890123456.7891",
                        "-2147483648||9223372036854775807|NaN|f|1970-01-01|1970-01-01 00:00:00|1969-12-31 23:59:59.999|0.0001");
    }

    @Test
    void aRowLargerThanAChunkComesThrough() throws Exception {
        StagedWriter writer = writer(0);
        String large = "\t".repeat(1_000_000);
        postgres.execute("ALTER TABLE %s DROP CONSTRAINT %s_pkey; CREATE UNIQUE INDEX ON %s (md5(id))"
                .formatted(table, table, table));
        writer.write(row(large, 1), null);
        writer.write(row("small", 2), null);
        commit(checkpoint(writer, 1));
        assertThat(postgres.query("SELECT length(id) FROM %s ORDER BY amount".formatted(table)))
                .containsExactly("1000000", "5");
    }

    @Test
    void aLedgerTakesNoDeletes() throws Exception {
        StagedWriter writer = writer(0);
        GenericRowData row = row("a", 1);
        row.setRowKind(RowKind.DELETE);
        assertThatIOException().isThrownBy(() -> writer.write(row, null)).withMessageContaining("append-only");
    }

    // ------------------------------------------------------------------ what can't work says so

    @Test
    void aMissingTableColumnOrKeyIsOneSentence() {
        assertThatIOException()
                .isThrownBy(() -> writer(sink(postgres.server(), "no_such_ledger", 1_000), 0, 1, 0))
                .withMessage("PostgreSQL has no table no_such_ledger: run `make prepare`");
        postgres.execute("CREATE TABLE %s_short (id text PRIMARY KEY)".formatted(table));
        assertThatIOException()
                .isThrownBy(() -> writer(sink(postgres.server(), table + "_short", 1_000), 0, 1, 0))
                .withMessageContaining("has no column amount, at: run `make prepare`");
        postgres.execute("CREATE TABLE %s_heap (id text, amount bigint, at timestamptz)".formatted(table));
        assertThatIOException()
                .isThrownBy(() -> writer(sink(postgres.server(), table + "_heap", 1_000), 0, 1, 0))
                .withMessageContaining("has no unique key");
    }

    @Test
    void aWrongUserOrDatabaseIsOneSentenceWithoutTheSecret() {
        PostgresServer stranger = new PostgresServer(postgres.server().url(), "nobody_here", "s3cret-pass");
        assertThatIOException()
                .isThrownBy(() -> writer(sink(stranger, table, 1_000), 0, 1, 0))
                .withMessageContaining("check the user and the password")
                .satisfies(e -> assertThat(stackTrace(e)).doesNotContain("s3cret-pass"));
        PostgresServer nowhere = new PostgresServer(
                "jdbc:postgresql://%s:%d/no_such_database?sslpassword=s3cret-ssl"
                        .formatted(postgres.host, postgres.port),
                postgres.user(),
                postgres.password());
        assertThatIOException()
                .isThrownBy(() -> writer(sink(nowhere, table, 1_000), 0, 1, 0))
                .withMessageContaining("create the database")
                .satisfies(e -> assertThat(stackTrace(e)).doesNotContain("s3cret-ssl"));
        assertThat(sink(stranger, table, 1_000).toString()).doesNotContain("s3cret");
        assertThat(new PostgresServer("jdbc:postgresql://a:s3cret@h/d?password=s3cret", "u", "s3cret").toString())
                .isEqualTo("postgresql://h/d");
    }

    @Test
    void aMissingStagingSchemaIsOneSentence() throws Exception {
        PostgresServer bare = new PostgresServer(
                "jdbc:postgresql://%s:%d/template1".formatted(postgres.host, postgres.port),
                postgres.user(),
                postgres.password());
        assertThatIOException()
                .isThrownBy(() -> writer(sink(bare, table, 1_000), 0, 1, 0))
                .withMessage("PostgreSQL has no table staging.writers: run `make prepare`");
    }

    @Test
    void aBrokenRuleOfTheTableEndsTheCommitWithASentence() throws Exception {
        postgres.execute("ALTER TABLE %s ADD CHECK (amount < 1000)".formatted(table));
        StagedWriter writer = writer(0);
        writer.write(row("a", 5_000), null);
        List<Epoch> epochs = checkpoint(writer, 1);
        assertThatIOException()
                .isThrownBy(() -> commit(epochs))
                .withMessageContaining("a row breaks a rule of the table");
    }

    @Test
    void aTypeThatCannotBeWrittenIsRefusedWhereTheJobIsPutTogether() {
        RowType type = RowType.of(new LogicalType[] {new VarBinaryType(9)}, new String[] {"raw"});
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new StagedCommitSink("jdbc:postgresql://h/d", "u", "p", "t", "n", type, null))
                .withMessageContaining("raw")
                .withMessageContaining("VARBINARY");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new StagedCommitSink("jdbc:postgresql://h/d", "u", "p", "t", "n", TYPE, "no_such"))
                .withMessageContaining("no_such");
    }

    // ------------------------------------------------------------------ serialized

    @Test
    void theSinkAndItsEpochsAreSerializable() throws Exception {
        StagedCommitSink sink = sink(postgres.server(), table, 1_000);
        assertThat(InstantiationUtil.clone(sink).toString()).isEqualTo(sink.toString());

        Epoch epoch = new Epoch("token", 12, 34, List.of("orphan", "other"));
        Epoch.Serializer serializer = new Epoch.Serializer();
        assertThat(serializer.deserialize(1, serializer.serialize(epoch))).isEqualTo(epoch);
        assertThatIOException()
                .isThrownBy(() -> serializer.deserialize(2, new byte[0]))
                .withMessageContaining("version 2")
                .withMessageContaining("resume it with the jar that wrote it");
    }

    // ------------------------------------------------------------------ helpers

    private StagedCommitSink sink(PostgresServer server, String into, int chunkBytes) {
        return new StagedCommitSink(server, into, name, TYPE, "at", chunkBytes);
    }

    private StagedWriter writer(StagedCommitSink sink, int subtask, int parallelism, long restored) throws IOException {
        StagedWriter writer =
                new StagedWriter(sink, subtask, parallelism, restored, MetricsGroupTestUtils.mockWriterMetricGroup());
        writers.add(writer);
        return writer;
    }

    private StagedWriter writer(int subtask, int parallelism, long restored, int chunkBytes, PostgresServer server)
            throws IOException {
        return writer(sink(server, table, chunkBytes), subtask, parallelism, restored);
    }

    private StagedWriter writer(int subtask, int parallelism, long restored) throws IOException {
        return writer(subtask, parallelism, restored, 1_000, postgres.server());
    }

    private StagedWriter writer(long restored) throws IOException {
        return writer(0, 1, restored);
    }

    private PostgresServer viaNetwork() {
        return postgres.server(network.port());
    }

    private StagedWriter writerViaNetwork() throws IOException {
        return writer(0, 1, 0, 1_000, viaNetwork());
    }

    private StagedCommitter committer(PostgresServer server) {
        return new StagedCommitter(sink(server, table, 1_000), 0, 1, MetricsGroupTestUtils.mockCommitterMetricGroup());
    }

    /** Gives up a writer as a killed process does. */
    private static void crash(StagedWriter writer) {
        writer.close();
    }

    private static void write(StagedWriter writer, int first, int last) throws IOException, InterruptedException {
        for (int i = first; i <= last; i++) {
            writer.write(row("%05d".formatted(i), i), null);
        }
    }

    private static GenericRowData row(String id, long amount) {
        return GenericRowData.of(StringData.fromString(id), amount, TimestampData.fromEpochMillis(amount));
    }

    /** In the order in which Flink's SinkWriterOperator calls. */
    private static List<Epoch> checkpoint(StagedWriter writer, long id) throws IOException, InterruptedException {
        writer.flush(false);
        List<Epoch> epochs = List.copyOf(writer.prepareCommit());
        writer.snapshotState(id);
        return epochs;
    }

    private int commit(Iterable<Epoch> epochs) throws IOException, InterruptedException {
        return commit(postgres.server(), epochs);
    }

    /** With a committer of its own; returns how many epochs were committed already. */
    private int commit(PostgresServer server, Iterable<Epoch> epochs) throws IOException, InterruptedException {
        AtomicInteger repeats = new AtomicInteger();
        try (StagedCommitter committer = committer(server)) {
            for (Epoch epoch : epochs) {
                committer.commit(List.of(request(epoch, repeats)));
            }
        }
        return repeats.get();
    }

    private static MockCommitRequest<Epoch> request(Epoch epoch, AtomicInteger repeats) {
        return new MockCommitRequest<>(epoch) {
            @Override
            public void signalAlreadyCommitted() {
                repeats.incrementAndGet();
            }
        };
    }

    private void expectStagedOnce(StagedWriter writer, int first, int last) throws Exception {
        List<Epoch> epochs = checkpoint(writer, 1);
        assertThat(epochs).singleElement().extracting(Epoch::rows).isEqualTo((long) last - first + 1);
        assertThat(postgres.number(
                        "SELECT count(*) FROM " + Staging.table(epochs.get(0).token())))
                .isEqualTo(last - first + 1);
        commit(epochs);
        assertThat(ledger()).isEqualTo(ids(first, last));
        assertNothingStaged();
    }

    /** A new attempt gets the same rows again: all are in the ledger once, and nothing of the old attempt is left. */
    private void replayAndExpectExactlyOnce(long restored) throws Exception {
        StagedWriter replay = writer(restored);
        write(replay, 1, 100);
        commit(checkpoint(replay, restored + 1));
        assertThat(ledger()).isEqualTo(ids(1, 100));
        assertNothingStaged();
    }

    private static void assertFenced(CompletableFuture<Void> outcome) {
        assertThat(outcome)
                .failsWithin(60, SECONDS)
                .withThrowableThat()
                .havingRootCause()
                .withMessageContaining("Another attempt of this writer took over");
    }

    private List<String> ledger() {
        return postgres.query("SELECT id FROM %s ORDER BY id".formatted(table));
    }

    private static List<String> ids(int first, int last) {
        return IntStream.rangeClosed(first, last).mapToObj("%05d"::formatted).toList();
    }

    private long stagingTables() {
        return postgres.number(
                """
                SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename LIKE 'e\\_%%'
                AND NOT EXISTS (SELECT FROM staging.epochs WHERE tablename = 'e_' || token AND ledger <> '%s')"""
                        .formatted(name));
    }

    private void assertNothingStaged() {
        assertThat(stagingTables()).isZero();
        assertThat(postgres.number("SELECT count(*) FROM staging.epochs WHERE ledger = '%s' AND committed_at IS NULL"
                        .formatted(name)))
                .isZero();
    }

    private void terminateSessions() {
        postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%s%%'"
                .formatted(name));
    }

    private void awaitWaitingSession() throws InterruptedException {
        while (postgres.number(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%s%%'"
                                .formatted(name))
                == 0) {
            Thread.sleep(10);
        }
    }

    private static String stackTrace(Throwable thrown) {
        java.io.StringWriter text = new java.io.StringWriter();
        thrown.printStackTrace(new java.io.PrintWriter(text));
        return text.toString();
    }

    private interface Action {
        void run() throws Exception;
    }

    private static CompletableFuture<Void> inBackground(Action action) {
        CompletableFuture<Void> outcome = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                action.run();
                outcome.complete(null);
            } catch (Throwable e) {
                outcome.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return outcome;
    }
}
