package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.datastream.DataStream;
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

/** Behind an operator that, as PyFlink's, has timers to register when its bundle is finished for a checkpoint. */
class PythonTimersTest {
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
    void timersAreRegisteredBetweenTheEndOfTheBundleAndTheSnapshot() throws Exception {
        run(new LikePython());
        assertThat(STEPS).hasSizeGreaterThanOrEqualTo(3);
        for (int i = 0; i + 2 < STEPS.size(); i += 3) {
            assertThat(STEPS.subList(i, i + 3)).containsExactly("bundle finished", "timers registered", "snapshot");
        }
    }

    @Test
    @Timeout(120)
    void aChainWithoutSuchAnOperatorIsRefused() {
        assertThatThrownBy(() -> run(new Plain()))
                .rootCause()
                .hasMessageContaining("No operator with the method drainUnregisteredTimers");
    }

    private static void run(Plain before) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(
                new Configuration().set(RestartStrategyOptions.RESTART_STRATEGY, "none"));
        env.setParallelism(1);
        env.enableCheckpointing(50);
        DataStream<Long> numbers = env.fromSequence(0, 500);
        numbers.transform("python", Types.LONG, before)
                .transform("timers", Types.LONG, new PythonTimers<>())
                .map(PythonTimersTest::slowly)
                .returns(Types.LONG)
                .sinkTo(new DiscardingSink<>());
        env.execute();
    }

    private static Long slowly(Long number) throws InterruptedException {
        Thread.sleep(1);
        return number;
    }

    private static class Plain extends AbstractStreamOperator<Long> implements OneInputStreamOperator<Long, Long> {
        @Override
        public void processElement(StreamRecord<Long> record) {
            output.collect(record);
        }
    }

    private static final class LikePython extends Plain {
        /** The name is PyFlink's. */
        @SuppressWarnings("unused")
        void drainUnregisteredTimers() {
            STEPS.add("timers registered");
        }

        @Override
        public void prepareSnapshotPreBarrier(long checkpointId) {
            STEPS.add("bundle finished");
        }

        @Override
        public void snapshotState(StateSnapshotContext context) {
            STEPS.add("snapshot");
        }
    }
}
