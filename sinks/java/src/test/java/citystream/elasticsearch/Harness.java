package citystream.elasticsearch;

import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.connector.base.sink.writer.TestSinkInitContext;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.metrics.testutils.MetricListener;
import org.apache.flink.runtime.metrics.groups.MetricsGroupTestUtils;
import org.apache.flink.runtime.metrics.groups.UnregisteredMetricGroups;
import org.apache.flink.table.data.RowData;

/** A writer without a cluster, and dead letters that a test can read, delay or fail. Used by one thread. */
final class Harness implements AutoCloseable {

    static final Tuning QUICK =
            new Tuning(Duration.ofMillis(400), Duration.ofMillis(10), Duration.ofMillis(80), Duration.ofMillis(300));

    record Letter(Document document, String detail) {}

    /** Letters by test, because a sink is serialized; here it is not, so instances will do. */
    static final class Letters implements DeadLetters {
        final List<Letter> written = new CopyOnWriteArrayList<>();
        final Queue<RuntimeException> failures = new ConcurrentLinkedQueue<>();

        @Override
        public CompletableFuture<Void> send(Document document, String detail) {
            RuntimeException failure = failures.poll();
            if (failure != null) {
                return CompletableFuture.failedFuture(failure);
            }
            written.add(new Letter(document, detail));
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {}
    }

    static final int BATCH = 10;
    static final int IN_FLIGHT = 2;
    static final String KEY = "c2VjcmV0OnNlY3JldA==";

    private final MetricListener metrics = new MetricListener();
    private final TestSinkInitContext context = new TestSinkInitContext() {
        private final SinkWriterMetricGroup group = MetricsGroupTestUtils.mockWriterMetricGroup(
                metrics.getMetricGroup(),
                UnregisteredMetricGroups.createUnregisteredOperatorMetricGroup().getIOMetricGroup());

        @Override
        public SinkWriterMetricGroup metricGroup() {
            return group;
        }
    };
    final Letters letters = new Letters();
    final StatefulSinkWriter<RowData, BufferedRequestState<Document>> writer;

    Harness(String url) throws Exception {
        this(url, 20_000, List.of());
    }

    Harness(String url, long maxBatchBytes, List<BufferedRequestState<Document>> state) throws Exception {
        writer = new ElasticsearchSink(
                        url, KEY, "deliveries", Rows.TYPE, BATCH, maxBatchBytes, IN_FLIGHT, 1000, () -> letters, QUICK)
                .restoreWriter(context, state);
    }

    Harness write(int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            writer.write(Rows.order("o" + i, 1), null);
        }
        return this;
    }

    Harness flush() throws Exception {
        writer.flush(true);
        return this;
    }

    long count(String name) {
        return metrics.getCounter(name).orElseThrow().getCount();
    }

    @Override
    public void close() {
        try {
            writer.close();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
