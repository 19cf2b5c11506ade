package citystream.postgres;

import org.apache.flink.connector.testframe.environment.MiniClusterTestEnvironment;
import org.apache.flink.connector.testframe.external.ExternalContextFactory;
import org.apache.flink.connector.testframe.junit.annotations.TestContext;
import org.apache.flink.connector.testframe.junit.annotations.TestEnv;
import org.apache.flink.connector.testframe.junit.annotations.TestSemantics;
import org.apache.flink.connector.testframe.testsuites.SinkTestSuiteBase;
import org.apache.flink.core.execution.CheckpointingMode;

/**
 * Flink's acceptance suite for sinks, exactly once: a bounded job, a stop with a savepoint and a restart at the same, a
 * higher and a lower parallelism, and the metrics. All of it applies.
 */
class StagedCommitSuiteTest extends SinkTestSuiteBase<SuiteRow> {
    @TestEnv
    MiniClusterTestEnvironment flink = new MiniClusterTestEnvironment();

    @TestSemantics
    CheckpointingMode[] semantics = {CheckpointingMode.EXACTLY_ONCE};

    @TestContext
    ExternalContextFactory<SuiteContext> context = test ->
            new SuiteContext((server, table) -> new StagedCommitSink(server, table, table, SuiteRow.TYPE, null, 1_000));
}
