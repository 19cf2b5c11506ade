package citystream.postgres;

import org.apache.flink.connector.testframe.environment.MiniClusterTestEnvironment;
import org.apache.flink.connector.testframe.external.ExternalContextFactory;
import org.apache.flink.connector.testframe.junit.annotations.TestContext;
import org.apache.flink.connector.testframe.junit.annotations.TestEnv;
import org.apache.flink.connector.testframe.junit.annotations.TestSemantics;
import org.apache.flink.connector.testframe.testsuites.SinkTestSuiteBase;
import org.apache.flink.core.execution.CheckpointingMode;

/**
 * Flink's acceptance suite for sinks. The delivery is at least once; since rows are keyed, the result is held to
 * exactly once. All of it applies.
 */
class UpsertSuiteTest extends SinkTestSuiteBase<SuiteRow> {
    @TestEnv
    MiniClusterTestEnvironment flink = new MiniClusterTestEnvironment();

    @TestSemantics
    CheckpointingMode[] semantics = {CheckpointingMode.EXACTLY_ONCE, CheckpointingMode.AT_LEAST_ONCE};

    @TestContext
    ExternalContextFactory<SuiteContext> context = test -> new SuiteContext(
            (server, table) -> new UpsertSink(server, table, SuiteRow.TYPE, new String[] {"id"}, "amount", 100, 100));
}
