package citystream.elasticsearch;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** A scripted server: keeps documents as Elasticsearch does, unless the script says what to do with a request. */
final class FakeElasticsearch implements AutoCloseable {

    /** What to do with one bulk request. */
    @FunctionalInterface
    interface Scene {
        void play(HttpExchange exchange, List<Line> lines) throws IOException, InterruptedException;
    }

    record Line(String id, long version, String body) {}

    final Map<String, Line> documents = new ConcurrentHashMap<>();
    final List<Integer> bulks = new CopyOnWriteArrayList<>();
    final List<String> authorizations = new CopyOnWriteArrayList<>();
    final Queue<Scene> script = new ConcurrentLinkedQueue<>();
    volatile int indexStatus = 200;
    volatile String indexAnswer = "{}";
    volatile String template = "{\"template\":{}}";

    private static final ObjectMapper JSON = new ObjectMapper();
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    FakeElasticsearch() throws IOException {
        this(0);
    }

    FakeElasticsearch(int port) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
    }

    int port() {
        return server.getAddress().getPort();
    }

    String url() {
        return "http://localhost:" + port();
    }

    FakeElasticsearch then(Scene scene) {
        script.add(scene);
        return this;
    }

    FakeElasticsearch thenStatus(int status, String body) {
        return then((exchange, lines) -> answer(exchange, status, body));
    }

    /** Answers each item by a rule that maps an id to an answer, or to null for the usual one. */
    Scene items(java.util.function.Function<String, String> rule) {
        return (exchange, lines) -> {
            List<String> items = new ArrayList<>();
            for (Line line : lines) {
                String special = rule.apply(line.id());
                items.add(special == null ? store(line) : special);
            }
            answer(exchange, 200, "{\"items\":[" + String.join(",", items) + "]}");
        };
    }

    static String item(int status, String type, String reason) {
        return "{\"index\":{\"status\":" + status + ",\"error\":{\"type\":\"" + type + "\",\"reason\":\"" + reason
                + "\"}}}";
    }

    private void handle(HttpExchange exchange) throws IOException {
        byte[] request = exchange.getRequestBody().readAllBytes();
        exchange.getResponseHeaders().add("X-elastic-product", "Elasticsearch");
        authorizations.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
        String path = exchange.getRequestURI().getPath();
        if (exchange.getRequestMethod().equals("GET")) {
            answer(exchange, indexStatus, indexAnswer);
        } else if (path.startsWith("/_index_template")) {
            answer(exchange, 200, template);
        } else {
            List<Line> lines = lines(new String(request, StandardCharsets.UTF_8));
            bulks.add(lines.size());
            Scene scene = script.poll();
            try {
                (scene == null ? items(id -> null) : scene).play(exchange, lines);
            } catch (InterruptedException end) {
                exchange.close();
            }
        }
    }

    private String store(Line line) {
        Line kept = documents.merge(line.id(), line, (old, now) -> now.version() >= old.version() ? now : old);
        return kept == line
                ? "{\"index\":{\"status\":201}}"
                : item(409, "version_conflict_engine_exception", "a newer one is there");
    }

    private static List<Line> lines(String ndjson) throws IOException {
        List<Line> lines = new ArrayList<>();
        String[] rows = ndjson.split("\n");
        for (int i = 0; i + 1 < rows.length; i += 2) {
            JsonNode action = JSON.readTree(rows[i]).path("index");
            if (!action.path("version_type").asText().equals("external_gte")) {
                throw new IOException("not versioned: " + rows[i]);
            }
            lines.add(
                    new Line(action.path("_id").asText(), action.path("version").asLong(), rows[i + 1]));
        }
        return lines;
    }

    static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
