package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Behind an operator that, as PyFlink's, has begun a bundle when its task is cancelled. */
class PythonBundlesTest {
    @RegisterExtension
    static final MiniClusterExtension CLUSTER = new MiniClusterExtension(new MiniClusterResourceConfiguration.Builder()
            .setNumberTaskManagers(1)
            .setNumberSlotsPerTaskManager(1)
            .build());

    private static final List<String> STEPS = new CopyOnWriteArrayList<>();

    @BeforeEach
    void forget() {
        STEPS.clear();
    }

    @Test
    @Timeout(120)
    void theBundleIsFinishedBeforeTheOperatorIsClosed() throws Exception {
        cancelled(false);
        assertThat(STEPS).containsExactly("begun", "finished", "closed");
    }

    @Test
    @Timeout(120)
    void nobodyWaitsForAWorkerThatIsDead() throws Exception {
        cancelled(true);
        assertThat(STEPS).containsExactly("begun", "broken", "closed");
    }

    private static void cancelled(boolean dead) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(
                new Configuration().set(RestartStrategyOptions.RESTART_STRATEGY, "none"));
        env.setParallelism(1);
        env.fromSequence(0, Long.MAX_VALUE)
                .transform("python", Types.LONG, new LikePython(dead))
                .transform("bundles", Types.LONG, new PythonBundles<>())
                .sinkTo(new DiscardingSink<>());
        JobClient job = env.executeAsync();
        while (STEPS.isEmpty()) {
            Thread.sleep(10);
        }
        job.cancel().get();
        while (!STEPS.contains("closed")) {
            Thread.sleep(10);
        }
    }

    /** As PyFlink's runner: to flush is to wait for the bundle's end. */
    public static final class Runner {
        private final boolean dead;

        Runner(boolean dead) {
            this.dead = dead;
        }

        @SuppressWarnings("unused")
        public void flush() throws InterruptedException {
            if (dead) {
                STEPS.add("broken");
                throw new IllegalStateException("the worker is dead");
            }
            Thread.sleep(300);
            STEPS.add("finished");
        }
    }

    private static final class LikePython extends AbstractStreamOperator<Long>
            implements OneInputStreamOperator<Long, Long> {
        private static final long serialVersionUID = 1;

        private final boolean dead;
        private boolean begun;

        /** The names are PyFlink's. */
        @SuppressWarnings("unused")
        private transient Runner pythonFunctionRunner;

        private transient ExecutorService flushThreadPool;

        LikePython(boolean dead) {
            this.dead = dead;
        }

        @Override
        public void open() throws Exception {
            super.open();
            pythonFunctionRunner = new Runner(dead);
            flushThreadPool = Executors.newSingleThreadExecutor();
        }

        @Override
        public void processElement(StreamRecord<Long> record) {
            if (!begun) {
                STEPS.add("begun");
                begun = true;
            }
        }

        @Override
        public void close() throws Exception {
            flushThreadPool.shutdownNow();
            STEPS.add("closed");
            super.close();
        }
    }
}
