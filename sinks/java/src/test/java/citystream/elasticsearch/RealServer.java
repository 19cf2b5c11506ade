package citystream.elasticsearch;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * The Elasticsearch that ELASTICSEARCH_URL names, and an index of the test's own in it. A key in ELASTICSEARCH_API_KEY
 * must be allowed to manage templates and the indices citystream-test-*.
 */
final class RealServer implements AutoCloseable {

    static final String URL = System.getenv("ELASTICSEARCH_URL");
    static final String KEY = System.getenv("ELASTICSEARCH_API_KEY");
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    final String index = "citystream-test-" + UUID.randomUUID();

    /** An index with the template of this name in conf/elasticsearch. */
    RealServer(String template) throws Exception {
        ObjectNode body = (ObjectNode) JSON.readTree(Files.readAllBytes(template(template)));
        body.putArray("index_patterns").add(index);
        expect(ask("PUT", "/_index_template/" + index, body.toString()));
    }

    static Path template(String name) {
        return Path.of("..", "..", "conf", "elasticsearch", name + ".json");
    }

    static HttpResponse<String> ask(String method, String path, String body) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(URL + path))
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                .header("Content-Type", "application/json");
        if (KEY != null) {
            request.header("Authorization", "ApiKey " + KEY);
        }
        return HTTP.send(request.build(), BodyHandlers.ofString());
    }

    static JsonNode expect(HttpResponse<String> answer) throws IOException {
        if (answer.statusCode() != 200) {
            throw new IOException("HTTP " + answer.statusCode() + ": " + answer.body());
        }
        return JSON.readTree(answer.body());
    }

    /** Puts a block on the index, or lifts it. */
    void block(String name, boolean on) throws IOException, InterruptedException {
        expect(ask("PUT", "/" + index + "/_settings", "{\"index.blocks." + name + "\": " + on + "}"));
    }

    JsonNode search(String query) throws IOException, InterruptedException {
        ask("POST", "/" + index + "/_refresh", null);
        return expect(ask(
                "POST",
                "/" + index + "/_search?size=10000&version=true&track_total_hits=true&ignore_unavailable=true",
                query));
    }

    long count() throws IOException, InterruptedException {
        return search("{\"size\":0}").path("hits").path("total").path("value").asLong();
    }

    /** Versions by id, of at most 10,000 documents. */
    Map<String, Long> versions() throws IOException, InterruptedException {
        Map<String, Long> versions = new HashMap<>();
        search("{}")
                .path("hits")
                .path("hits")
                .forEach(hit -> versions.put(
                        hit.path("_id").asText(), hit.path("_version").asLong()));
        return versions;
    }

    @Override
    public void close() throws IOException {
        try {
            ask("DELETE", "/" + index, null);
            ask("DELETE", "/_index_template/" + index, null);
        } catch (InterruptedException interruption) {
            Thread.currentThread().interrupt();
        }
    }
}
