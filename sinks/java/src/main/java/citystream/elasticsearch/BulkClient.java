package citystream.elasticsearch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonStringEncoder;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.MissingNode;

/**
 * The part of Elasticsearch's HTTP interface that the sink needs. It turns whatever happens to a request (an answer, an
 * error, a broken connection, nonsense) into one {@link Verdict} per document, and never fails otherwise.
 */
final class BulkClient {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final byte[] ACTION = "{\"index\":{\"_id\":\"".getBytes(StandardCharsets.US_ASCII);
    private static final String WANTED = "?filter_path=items.*.status,items.*.error.type,items.*.error.reason,"
            + "items.*.error.caused_by.reason,error.type,error.reason";
    private static final int MAX_DETAIL = 400;
    private static final String REASON = "?filter_path=error.type,error.reason";
    /** Blocks: of an index, or of all, by somebody or by a disk that is full; they pass when they are lifted. */
    private static final Set<String> PASSING = Set.of("cluster_block_exception", "index_create_block_exception");

    private static final Set<String> REFUSING =
            Set.of("security_exception", "index_not_found_exception", "index_closed_exception", "validation_exception");

    private final String url;
    private final String apiKey;
    private final String index;
    private final Duration timeout;
    private final HttpClient http;
    private volatile boolean checked;

    BulkClient(String url, String apiKey, String index, Duration timeout, Executor executor) {
        this.url = url;
        this.apiKey = apiKey;
        this.index = index;
        this.timeout = timeout;
        this.http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(timeout)
                .executor(executor)
                .build();
    }

    /** One verdict per document, in their order. */
    CompletableFuture<List<Verdict>> send(List<Document> documents) {
        return check().thenCompose(verdict -> verdict == Verdict.STORED
                ? bulk(documents)
                : CompletableFuture.completedFuture(Collections.nCopies(documents.size(), verdict)));
    }

    /**
     * Whether the index exists or a template for it does: without either, Elasticsearch would guess a mapping from the
     * first document. Asked until the answer is yes, then never again.
     *
     * @return STORED for yes, else AGAIN or REFUSED
     */
    CompletableFuture<Verdict> check() {
        if (checked) {
            return CompletableFuture.completedFuture(Verdict.STORED);
        }
        return ask(request("/" + index + REASON).GET())
                .thenCompose(answer -> answer.statusCode() == 404 && isElasticsearch(answer)
                        ? template()
                        : CompletableFuture.completedFuture(of(answer)))
                .exceptionally(BulkClient::again)
                .thenApply(verdict -> {
                    checked = verdict == Verdict.STORED;
                    return verdict;
                });
    }

    /** A key that may write may still not see templates; then their absence can't be told. */
    private CompletableFuture<Verdict> template() {
        return ask(request("/_index_template/_simulate_index/" + index).POST(BodyPublishers.noBody()))
                .thenApply(answer -> switch (answer.statusCode()) {
                    case 200 -> answer.body().length > "{}".length() ? Verdict.STORED : missing();
                    case 403 -> passes(answer) ? of(answer) : Verdict.STORED;
                    default -> of(answer);
                });
    }

    private CompletableFuture<List<Verdict>> bulk(List<Document> documents) {
        return ask(request("/" + index + "/_bulk" + WANTED)
                        .header("Content-Type", "application/x-ndjson")
                        .POST(BodyPublishers.ofByteArray(body(documents))))
                .handle((answer, error) -> error == null ? verdicts(answer, documents) : all(again(error), documents))
                .thenCompose(answered -> answered);
    }

    private CompletableFuture<List<Verdict>> verdicts(HttpResponse<byte[]> answer, List<Document> documents) {
        int status = answer.statusCode();
        if (status == 200) {
            try {
                List<Verdict> items = items(answer.body());
                return items.size() == documents.size()
                        ? CompletableFuture.completedFuture(items)
                        : all(
                                Verdict.again(
                                        "an answer for " + items.size() + " documents instead of " + documents.size()),
                                documents);
            } catch (IOException malformed) {
                return all(Verdict.again("an answer that is not what _bulk returns"), documents);
            }
        }
        boolean ofDocuments = status == 413 || status == 400 && isElasticsearch(answer);
        if (!ofDocuments) {
            return all(of(answer), documents);
        }
        if (documents.size() == 1) {
            return all(Verdict.rejected(detail(answer)), documents);
        }
        // One document can spoil a whole request (a too long _id, a negative version): halve until it is found.
        int half = documents.size() / 2;
        return bulk(documents.subList(0, half))
                .thenCombine(bulk(documents.subList(half, documents.size())), (left, right) -> {
                    List<Verdict> both = new ArrayList<>(left);
                    both.addAll(right);
                    return both;
                });
    }

    private CompletableFuture<List<Verdict>> all(Verdict verdict, List<Document> documents) {
        return CompletableFuture.completedFuture(Collections.nCopies(documents.size(), verdict));
    }

    /** The verdict of an answer on a request as a whole. */
    private Verdict of(HttpResponse<byte[]> answer) {
        int status = answer.statusCode();
        if (status == 200) {
            return Verdict.STORED;
        }
        if (status == 408 || status == 429 || status >= 500 || passes(answer)) {
            return Verdict.again(detail(answer));
        }
        return switch (status) {
            case 401 -> unauthenticated();
            case 403 -> forbidden();
            default -> isElasticsearch(answer)
                    ? Verdict.refused("Elasticsearch at " + url + " does not take requests for the index '" + index
                            + "': " + detail(answer))
                    : Verdict.refused("What answers at " + url + " (HTTP " + status
                            + ") is not Elasticsearch: set ELASTICSEARCH_URL to its address");
        };
    }

    /** The verdict on one document. */
    private Verdict of(int status, String type, String detail) {
        if (status >= 200 && status < 300) {
            return Verdict.STORED;
        }
        if (status == 409 && type.equals("version_conflict_engine_exception")) {
            return Verdict.NEWER;
        }
        // 404 and 409 of anything but the index and the version are a shard's that is moving or not yet there.
        boolean ofAShard = status == 409 || status == 404 && !type.equals("index_not_found_exception");
        if (status < 400 || status == 408 || status == 429 || status >= 500 || ofAShard || PASSING.contains(type)) {
            return Verdict.again(detail);
        }
        if (status == 401) {
            return unauthenticated();
        }
        if (status == 403) {
            return forbidden();
        }
        if (!REFUSING.contains(type)) {
            return Verdict.rejected(detail);
        }
        return switch (type) {
            case "index_not_found_exception" -> missing();
            case "index_closed_exception" -> Verdict.refused(
                    "The Elasticsearch index '" + index + "' is closed: open it with POST /" + index + "/_open");
            default -> Verdict.refused("Elasticsearch can't keep the index '" + index + "': " + detail);
        };
    }

    private Verdict unauthenticated() {
        return Verdict.refused("Elasticsearch at " + url + " does not accept the API key: set ELASTICSEARCH_API_KEY to "
                + "a valid one, in its encoded form");
    }

    private Verdict forbidden() {
        return Verdict.refused("The Elasticsearch API key may not write to the index '" + index + "': grant it the "
                + "privileges index, auto_configure, create_index and view_index_metadata there");
    }

    private Verdict missing() {
        return Verdict.refused("Elasticsearch has no index '" + index + "' and no template that creates it: run "
                + "`make prepare`, or create the index");
    }

    private static Verdict again(Throwable error) {
        Throwable cause = error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
        return Verdict.again(
                cause.getClass().getSimpleName() + (cause.getMessage() == null ? "" : ": " + cause.getMessage()));
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(url + path)).timeout(timeout);
        return apiKey == null ? request : request.header("Authorization", "ApiKey " + apiKey);
    }

    private CompletableFuture<HttpResponse<byte[]>> ask(HttpRequest.Builder request) {
        return http.sendAsync(request.build(), BodyHandlers.ofByteArray());
    }

    private static boolean isElasticsearch(HttpResponse<?> answer) {
        return answer.headers().firstValue("X-elastic-product").isPresent();
    }

    /** NDJSON: a line with the key and version, a line with the document. */
    private static byte[] body(List<Document> documents) {
        long size = documents.stream().mapToLong(Document::size).sum() + 32L * documents.size();
        ByteArrayOutputStream body = new ByteArrayOutputStream((int) Math.min(size, Integer.MAX_VALUE - 8));
        for (Document document : documents) {
            body.writeBytes(ACTION);
            body.writeBytes(JsonStringEncoder.getInstance().quoteAsUTF8(document.id()));
            body.writeBytes(("\",\"version\":" + document.version() + ",\"version_type\":\"external_gte\"}}\n")
                    .getBytes(StandardCharsets.US_ASCII));
            body.writeBytes(document.body());
            body.write('\n');
        }
        return body.toByteArray();
    }

    /** The verdicts in an answer like {@code {"items":[{"index":{"status":201}}, ...]}}. */
    private List<Verdict> items(byte[] answer) throws IOException {
        List<Verdict> items = new ArrayList<>();
        for (JsonNode item : JSON.readTree(answer).path("items")) {
            JsonNode result = item.path("index");
            JsonNode error = result.path("error");
            items.add(of(result.path("status").asInt(), error.path("type").asText(), detail(error)));
        }
        return items;
    }

    private static boolean passes(HttpResponse<byte[]> answer) {
        return PASSING.contains(error(answer).path("type").asText());
    }

    /** Why a request as a whole was not taken. */
    private static String detail(HttpResponse<byte[]> answer) {
        JsonNode error = error(answer);
        return "HTTP " + answer.statusCode() + (error.has("type") ? " " + detail(error) : "");
    }

    private static JsonNode error(HttpResponse<byte[]> answer) {
        try {
            return JSON.readTree(answer.body()).path("error");
        } catch (IOException notJson) {
            return MissingNode.getInstance();
        }
    }

    private static String detail(JsonNode error) {
        String cause = error.path("caused_by").path("reason").asText();
        return error.path("type").asText() + ": " + clipped(error.path("reason").asText())
                + (cause.isEmpty() ? "" : " (" + clipped(cause) + ")");
    }

    /** Elasticsearch quotes what it does not like, however long; what it says of it stands before and after. */
    private static String clipped(String text) {
        return text.length() <= MAX_DETAIL
                ? text
                : text.substring(0, MAX_DETAIL / 2) + " ... " + text.substring(text.length() - MAX_DETAIL / 2);
    }
}
