package citystream.elasticsearch;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;

/**
 * Documents per second through the sink in a job of parallelism 2, next to what two plain threads put into
 * {@code _bulk} with bodies made beforehand. Arguments: documents, rounds, batch size, batch bytes, requests in flight.
 */
final class BulkBench {

    /** When a job's first row was made: a cluster's start is not the sink's time. */
    private static final AtomicLong FIRST = new AtomicLong();

    private BulkBench() {}

    public static void main(String[] args) throws Exception {
        int documents = Integer.parseInt(args[0]);
        int rounds = Integer.parseInt(args[1]);
        int batch = Integer.parseInt(args[2]);
        long bytes = Long.parseLong(args[3]);
        int inFlight = Integer.parseInt(args[4]);
        plain(documents / 4, batch);
        for (int round = 1; round <= rounds; round++) {
            double plain = plain(documents, batch);
            long cpu = ProcessHandle.current()
                    .info()
                    .totalCpuDuration()
                    .orElseThrow()
                    .toMillis();
            double sink = sink(documents, batch, bytes, inFlight);
            cpu = ProcessHandle.current()
                            .info()
                            .totalCpuDuration()
                            .orElseThrow()
                            .toMillis()
                    - cpu;
            System.out.printf(
                    "round %d: _bulk %.0f/s, sink %.0f/s, ratio %.2f; the job's CPU %.1f us per document%n",
                    round, plain, sink, sink / plain, cpu * 1000.0 / documents);
        }
    }

    private static double plain(int documents, int batch) throws Exception {
        DocumentConverter converter = new DocumentConverter((RowType) Rows.TYPE.getLogicalType());
        List<String> bodies = new ArrayList<>();
        for (int start = 0; start < documents; start += batch) {
            StringBuilder body = new StringBuilder();
            for (int i = start; i < Math.min(documents, start + batch); i++) {
                body.append("{\"index\":{\"_id\":\"")
                        .append(name(i))
                        .append("\",\"version\":1,\"version_type\":\"external_gte\"}}\n")
                        .append(new String(
                                converter.apply(Rows.order(name(i), 1), null).body(), StandardCharsets.UTF_8))
                        .append('\n');
            }
            bodies.add(body.toString());
        }
        try (RealServer server = new RealServer("deliveries")) {
            RealServer.expect(RealServer.ask("PUT", "/" + server.index, null));
            HttpClient http = HttpClient.newHttpClient();
            ExecutorService threads = Executors.newFixedThreadPool(2);
            long start = System.nanoTime();
            List<Future<?>> done = new ArrayList<>();
            for (String body : bodies) {
                done.add(threads.submit(() -> {
                    HttpRequest.Builder request = HttpRequest.newBuilder(
                                    URI.create(RealServer.URL + "/" + server.index + "/_bulk?filter_path=errors"))
                            .header("Content-Type", "application/x-ndjson")
                            .POST(BodyPublishers.ofString(body));
                    if (RealServer.KEY != null) {
                        request.header("Authorization", "ApiKey " + RealServer.KEY);
                    }
                    if (!http.send(request.build(), BodyHandlers.ofString())
                            .body()
                            .contains("\"errors\":false")) {
                        throw new IllegalStateException("errors");
                    }
                    return null;
                }));
            }
            for (Future<?> one : done) {
                one.get();
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            threads.shutdown();
            check(server, documents);
            return documents / seconds;
        }
    }

    private static double sink(int documents, int batch, long bytes, int inFlight) throws Exception {
        try (RealServer server = new RealServer("deliveries")) {
            RealServer.expect(RealServer.ask("PUT", "/" + server.index, null));
            StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
            env.getConfig().enableObjectReuse();
            env.enableCheckpointing(5000);
            env.setParallelism(2);
            env.fromSequence(0, documents - 1)
                    .map(number -> {
                        FIRST.compareAndSet(0, System.nanoTime());
                        return (RowData) Rows.order(name(number), 1);
                    })
                    .returns(InternalTypeInfo.of(Rows.TYPE.getLogicalType()))
                    .sinkTo(new ElasticsearchSink(
                            RealServer.URL,
                            RealServer.KEY,
                            server.index,
                            Rows.TYPE,
                            batch,
                            bytes,
                            inFlight,
                            1000,
                            Harness.Letters::new,
                            Tuning.DEFAULT));
            FIRST.set(0);
            env.execute();
            double seconds = (System.nanoTime() - FIRST.get()) / 1e9;
            check(server, documents);
            return documents / seconds;
        }
    }

    private static String name(long number) {
        return "order-2026-" + number;
    }

    private static void check(RealServer server, int documents) throws Exception {
        if (server.count() != documents) {
            throw new IllegalStateException(server.count() + " of " + documents);
        }
    }
}
