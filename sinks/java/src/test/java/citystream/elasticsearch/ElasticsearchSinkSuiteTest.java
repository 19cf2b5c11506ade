package citystream.elasticsearch;

import java.io.IOException;
import java.net.URL;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.connector.testframe.environment.MiniClusterTestEnvironment;
import org.apache.flink.connector.testframe.external.ExternalContextFactory;
import org.apache.flink.connector.testframe.external.ExternalSystemDataReader;
import org.apache.flink.connector.testframe.external.sink.DataStreamSinkV2ExternalContext;
import org.apache.flink.connector.testframe.external.sink.TestingSinkSettings;
import org.apache.flink.connector.testframe.junit.annotations.TestContext;
import org.apache.flink.connector.testframe.junit.annotations.TestEnv;
import org.apache.flink.connector.testframe.junit.annotations.TestSemantics;
import org.apache.flink.connector.testframe.testsuites.SinkTestSuiteBase;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/**
 * Flink's own suite for sinks, on a real server: write, restart from a savepoint, scale up, scale down, metrics. All of
 * it applies. Both semantics are run: the delivery is at least once, and the result, which is all that a reader can
 * see, exactly once, because a document that comes twice has the same id. The suite wants comparable records, so a
 * string stands for the order of that id; an index per test keeps them apart.
 */
@Timeout(120)
@EnabledIfEnvironmentVariable(named = "ELASTICSEARCH_URL", matches = ".+")
class ElasticsearchSinkSuiteTest extends SinkTestSuiteBase<String> {

    @TestEnv
    MiniClusterTestEnvironment cluster = new MiniClusterTestEnvironment();

    @TestSemantics
    CheckpointingMode[] semantics = {CheckpointingMode.AT_LEAST_ONCE, CheckpointingMode.EXACTLY_ONCE};

    @TestContext
    ExternalContextFactory<Context> context = name -> {
        try {
            return new Context(new RealServer("deliveries"));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    };

    record Context(RealServer server) implements DataStreamSinkV2ExternalContext<String> {

        @Override
        public Sink<String> createSink(TestingSinkSettings settings) {
            return new ByName(new ElasticsearchSink(
                    RealServer.URL,
                    RealServer.KEY,
                    server.index,
                    Rows.TYPE,
                    20,
                    20_000,
                    2,
                    50,
                    Harness.Letters::new,
                    Tuning.DEFAULT));
        }

        @Override
        public ExternalSystemDataReader<String> createSinkDataReader(TestingSinkSettings settings) {
            List<String> seen = new ArrayList<>();
            return new ExternalSystemDataReader<>() {
                @Override
                public List<String> poll(Duration timeout) {
                    try {
                        List<String> fresh = new ArrayList<>(server.versions().keySet());
                        fresh.removeAll(seen);
                        seen.addAll(fresh);
                        return fresh;
                    } catch (IOException | InterruptedException error) {
                        throw new IllegalStateException(error);
                    }
                }

                @Override
                public void close() {}
            };
        }

        @Override
        public List<String> generateTestData(TestingSinkSettings settings, long seed) {
            return IntStream.range(0, 200)
                    .mapToObj(i -> "order-" + seed + "-" + i)
                    .toList();
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }

        @Override
        public List<URL> getConnectorJarPaths() {
            return List.of();
        }

        @Override
        public void close() throws IOException {
            server.close();
        }
    }

    /** The sink, fed by names instead of rows. */
    record ByName(ElasticsearchSink sink)
            implements Sink<String>, SupportsWriterState<String, BufferedRequestState<Document>> {

        @Override
        public StatefulSinkWriter<String, BufferedRequestState<Document>> createWriter(WriterInitContext context)
                throws IOException {
            return restoreWriter(context, List.of());
        }

        @Override
        public StatefulSinkWriter<String, BufferedRequestState<Document>> restoreWriter(
                WriterInitContext context, Collection<BufferedRequestState<Document>> state) throws IOException {
            StatefulSinkWriter<RowData, BufferedRequestState<Document>> writer = sink.restoreWriter(context, state);
            return new StatefulSinkWriter<>() {
                @Override
                public void write(String name, Context about) throws IOException, InterruptedException {
                    writer.write(Rows.order(name, 1), about);
                }

                @Override
                public void flush(boolean end) throws IOException, InterruptedException {
                    writer.flush(end);
                }

                @Override
                public List<BufferedRequestState<Document>> snapshotState(long checkpoint) throws IOException {
                    return writer.snapshotState(checkpoint);
                }

                @Override
                public void close() throws IOException {
                    try {
                        writer.close();
                    } catch (Exception error) {
                        throw new IOException(error);
                    }
                }
            };
        }

        @Override
        public SimpleVersionedSerializer<BufferedRequestState<Document>> getWriterStateSerializer() {
            return sink.getWriterStateSerializer();
        }
    }
}
