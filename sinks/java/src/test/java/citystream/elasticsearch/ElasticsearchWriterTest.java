package citystream.elasticsearch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.table.data.StringData;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The contract, against a server that fails, is slow or lies: nothing is lost, nothing dropped, nothing fails the job.
 */
@Timeout(30)
class ElasticsearchWriterTest {

    private FakeElasticsearch server;

    @BeforeEach
    void start() throws Exception {
        server = new FakeElasticsearch();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    @Test
    void writesWholeDocumentsInBatches() throws Exception {
        try (Harness sink = new Harness(server.url()).write(0, 25).flush()) {
            assertThat(server.documents).hasSize(25);
            assertThat(server.bulks).containsExactlyInAnyOrder(10, 10, 5);
            assertThat(server.authorizations).containsOnly("ApiKey " + Harness.KEY);
            assertThat(sink.count("documentsStored")).isEqualTo(25);
            assertThat(sink.count("numRecordsSendErrors")).isZero();
        }
    }

    static Stream<Arguments> passingTroubles() {
        return Stream.of(
                trouble("429", (exchange, lines) -> FakeElasticsearch.answer(exchange, 429, "{}")),
                trouble("503", (exchange, lines) -> FakeElasticsearch.answer(exchange, 503, "")),
                trouble("a proxy's 502 page", (exchange, lines) -> FakeElasticsearch.answer(exchange, 502, "<html>")),
                trouble("not JSON", (exchange, lines) -> FakeElasticsearch.answer(exchange, 200, "{\"items\":[{")),
                trouble("an empty answer", (exchange, lines) -> FakeElasticsearch.answer(exchange, 200, "")),
                trouble("another JSON", (exchange, lines) -> FakeElasticsearch.answer(exchange, 200, "[1, 2]")),
                trouble(
                        "too few items",
                        (exchange, lines) ->
                                FakeElasticsearch.answer(exchange, 200, "{\"items\":[{\"index\":{\"status\":201}}]}")),
                trouble(
                        "items without a status",
                        (exchange, lines) -> FakeElasticsearch.answer(
                                exchange, 200, "{\"items\":[" + "{\"index\":{}},".repeat(lines.size() - 1) + "{}]}")),
                trouble("a cut connection", (exchange, lines) -> exchange.close()),
                trouble("a cut answer", (exchange, lines) -> {
                    exchange.sendResponseHeaders(200, 1000);
                    exchange.getResponseBody().write("{\"items\":[".getBytes());
                    exchange.getResponseBody().flush();
                    throw new java.io.IOException("cut");
                }),
                trouble("a timeout", (exchange, lines) -> Thread.sleep(2000)));
    }

    private static Arguments trouble(String name, FakeElasticsearch.Scene scene) {
        return Arguments.of(name, scene);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("passingTroubles")
    void triesAgain(String name, FakeElasticsearch.Scene trouble) throws Exception {
        server.then(trouble).then(trouble);
        try (Harness sink = new Harness(server.url()).write(0, 30).flush()) {
            assertThat(server.documents).hasSize(30);
            assertThat(sink.letters.written).isEmpty();
            assertThat(sink.count("documentsStored")).isEqualTo(30);
            assertThat(sink.count("numRecordsSendErrors")).isGreaterThanOrEqualTo(10);
        }
    }

    @Test
    void waitsForAServerThatIsNotThere() throws Exception {
        int port = server.port();
        String url = server.url();
        server.close();
        try (Harness sink = new Harness(url)) {
            Future<?> back = Executors.newSingleThreadExecutor().submit(() -> {
                Thread.sleep(500);
                server = new FakeElasticsearch(port);
                return null;
            });
            sink.write(0, 30).flush();
            back.get();
            assertThat(server.documents).hasSize(30);
            assertThat(sink.count("documentsStored")).isEqualTo(30);
        }
    }

    @Test
    void retriesOnlyTheItemsThatFailed() throws Exception {
        server.then(server.items(id -> Integer.parseInt(id.substring(1)) % 2 == 0
                ? FakeElasticsearch.item(429, "es_rejected_execution_exception", "queue full")
                : null));
        try (Harness sink = new Harness(server.url()).write(0, 10).flush()) {
            assertThat(server.documents).hasSize(10);
            assertThat(server.bulks.stream().mapToInt(n -> n).sum()).isEqualTo(15);
            assertThat(sink.count("numRecordsSendErrors")).isEqualTo(5);
        }
    }

    @Test
    void aNewerOneInTheIndexIsDone() throws Exception {
        try (Harness sink = new Harness(server.url())) {
            sink.writer.write(Rows.order("a", 5), null);
            sink.flush();
            sink.writer.write(Rows.order("a", 4), null);
            sink.writer.write(Rows.order("a", 5), null);
            sink.flush();
            assertThat(server.documents.get("a").version()).isEqualTo(5);
            assertThat(server.bulks).containsExactly(1, 2);
            assertThat(sink.count("documentsStored")).isEqualTo(2);
            assertThat(sink.count("documentsNewer")).isEqualTo(1);
            assertThat(sink.letters.written).isEmpty();
        }
    }

    @Test
    void aRejectedDocumentIsADeadLetter() throws Exception {
        server.then(server.items(id -> id.equals("o3")
                ? FakeElasticsearch.item(400, "document_parsing_exception", "failed to parse field [pay]")
                : id.equals("o4")
                        ? FakeElasticsearch.item(400, "strict_dynamic_mapping_exception", "[x] not allowed")
                        : null));
        try (Harness sink = new Harness(server.url()).write(0, 10).flush()) {
            assertThat(server.documents).hasSize(8);
            assertThat(sink.letters.written)
                    .extracting(letter -> letter.document().id())
                    .containsExactly("o3", "o4");
            assertThat(sink.count("documentsRejected")).isEqualTo(2);
            assertThat(sink.letters.written.get(0).detail())
                    .isEqualTo("document_parsing_exception: failed to parse field [pay]");
            assertThat(sink.letters.written.get(0).document().source())
                    .isEqualTo(new Document.Source("deliveries", 1, (long) Math.abs("o3".hashCode())));
            assertThat(server.bulks).containsExactly(10);
        }
    }

    @Test
    void isNotDoneBeforeTheDeadLetterIs() throws Exception {
        FakeElasticsearch.Scene rejects =
                server.items(id -> FakeElasticsearch.item(400, "document_parsing_exception", "no"));
        server.then(rejects).then(rejects).then(rejects);
        try (Harness sink = new Harness(server.url())) {
            sink.letters.failures.add(new IllegalStateException("no broker"));
            sink.letters.failures.add(new IllegalStateException("no broker"));
            sink.write(0, 1).flush();
            assertThat(sink.letters.written).hasSize(1);
            assertThat(server.bulks).containsExactly(1, 1, 1);
        }
    }

    @Test
    void findsTheOneDocumentThatSpoilsARequest() throws Exception {
        FakeElasticsearch.Scene validating = (exchange, lines) -> {
            if (lines.stream().anyMatch(line -> line.id().equals("o7"))) {
                FakeElasticsearch.answer(
                        exchange,
                        400,
                        "{\"error\":{\"type\":\"action_request_validation_exception\",\"reason\":\"id is too long\"}}");
            } else {
                server.items(id -> null).play(exchange, lines);
            }
        };
        for (int i = 0; i < 20; i++) {
            server.then(validating);
        }
        try (Harness sink = new Harness(server.url()).write(0, 10).flush()) {
            assertThat(server.documents).hasSize(9).doesNotContainKey("o7");
            assertThat(sink.letters.written).singleElement().satisfies(letter -> {
                assertThat(letter.document().id()).isEqualTo("o7");
                assertThat(letter.detail()).isEqualTo("HTTP 400 action_request_validation_exception: id is too long");
            });
        }
    }

    @Test
    void anErrorPageOfAProxyIsNoVerdictOnADocument() throws Exception {
        server.then((exchange, lines) -> {
            exchange.getResponseHeaders().remove("X-elastic-product");
            FakeElasticsearch.answer(exchange, 503, "<html>");
        });
        try (Harness sink = new Harness(server.url()).write(0, 5).flush()) {
            assertThat(server.documents).hasSize(5);
            assertThat(sink.letters.written).isEmpty();
        }
    }

    @Test
    void aKeyThatIsRefusedForLongFailsTheJobWithARemedy() throws Exception {
        for (int i = 0; i < 200; i++) {
            server.thenStatus(401, "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"}}");
        }
        try (Harness sink = new Harness(server.url())) {
            assertThatThrownBy(() -> sink.write(0, 10).flush())
                    .hasRootCauseInstanceOf(ElasticsearchRefusal.class)
                    .rootCause()
                    .hasMessageContaining("set ELASTICSEARCH_API_KEY")
                    .hasMessageNotContaining(Harness.KEY);
        }
        server.indexStatus = 401;
        assertThatThrownBy(() -> new Harness(server.url())).isInstanceOf(ElasticsearchRefusal.class);
    }

    static Stream<Arguments> longTroubles() {
        String block =
                "{\"error\":{\"type\":\"%s\",\"reason\":\"blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)]\"}}";
        return Stream.of(
                trouble(
                        "a blocked cluster",
                        (exchange, lines) ->
                                FakeElasticsearch.answer(exchange, 403, block.formatted("cluster_block_exception"))),
                trouble(
                        "no new indices",
                        (exchange, lines) -> FakeElasticsearch.answer(
                                exchange, 403, block.formatted("index_create_block_exception"))),
                trouble("a blocked index", items(403, "cluster_block_exception")),
                trouble("an index that may not be made yet", items(403, "index_create_block_exception")),
                trouble("a full disk", items(429, "cluster_block_exception")),
                trouble("a closed shard", items(404, "index_shard_closed_exception")),
                trouble("a shard that is nowhere", items(404, "shard_not_found_exception")),
                trouble("a shard that recovers", items(409, "index_shard_recovering_exception")));
    }

    private static FakeElasticsearch.Scene items(int status, String type) {
        return (exchange, lines) -> FakeElasticsearch.answer(
                exchange,
                200,
                "{\"items\":["
                        + String.join(
                                ",", Collections.nCopies(lines.size(), FakeElasticsearch.item(status, type, "not now")))
                        + "]}");
    }

    /** For longer than a refusal is borne with: thirty pauses, most of 40 ms at least. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("longTroubles")
    void waitsForWhatPassesHoweverLongItTakes(String name, FakeElasticsearch.Scene trouble) throws Exception {
        for (int i = 0; i < 30; i++) {
            server.then(trouble);
        }
        try (Harness sink = new Harness(server.url()).write(0, 10).flush()) {
            assertThat(server.documents).hasSize(10);
            assertThat(sink.letters.written).isEmpty();
            assertThat(sink.count("documentsStored")).isEqualTo(10);
            assertThat(server.script).isEmpty();
        }
    }

    @Test
    void aBlockedIndexIsNoReasonNotToStart() throws Exception {
        server.indexStatus = 403;
        server.indexAnswer = "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"metadata\"}}";
        try (Harness sink = new Harness(server.url()).write(0, 5)) {
            server.indexStatus = 200;
            sink.flush();
            assertThat(server.documents).hasSize(5);
        }
    }

    @Test
    void aKeyThatIsRefusedOnlyWhileTheServerStartsIsNoFailure() throws Exception {
        server.thenStatus(401, "{}").thenStatus(403, "{}");
        try (Harness sink = new Harness(server.url()).write(0, 10).flush()) {
            assertThat(server.documents).hasSize(10);
            assertThat(sink.letters.written).isEmpty();
        }
    }

    @Test
    void anIndexWithoutTemplateFailsTheJobAtItsStart() {
        server.indexStatus = 404;
        server.template = "{}";
        assertThatThrownBy(() -> new Harness(server.url()))
                .isInstanceOf(ElasticsearchRefusal.class)
                .hasMessageContaining("run `make prepare`");
        server.template = "{\"template\":{}}";
        assertThat(java.util.concurrent.CompletableFuture.runAsync(() -> {
                    try (Harness sink = new Harness(server.url())) {
                        sink.write(0, 1).flush();
                    } catch (Exception error) {
                        throw new IllegalStateException(error);
                    }
                }))
                .succeedsWithin(java.time.Duration.ofSeconds(10));
    }

    @Test
    void anIndexThatVanishedFailsTheJob() throws Exception {
        for (int i = 0; i < 200; i++) {
            server.then(server.items(id -> FakeElasticsearch.item(404, "index_not_found_exception", "no such index")));
        }
        try (Harness sink = new Harness(server.url())) {
            assertThatThrownBy(() -> sink.write(0, 1).flush())
                    .hasRootCauseInstanceOf(ElasticsearchRefusal.class)
                    .rootCause()
                    .hasMessageContaining("no index 'deliveries'");
            assertThat(sink.letters.written).isEmpty();
        }
    }

    @Test
    void isPatientAndDoesNotHammer() throws Exception {
        for (int i = 0; i < 12; i++) {
            server.thenStatus(503, "");
        }
        long start = System.nanoTime();
        try (Harness sink = new Harness(server.url()).write(0, 1).flush()) {
            // 12 waits: 10, 20, 40 and then 80 ms, each at least half of it.
            assertThat(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start)).isGreaterThan(5 + 10 + 20 + 9 * 40);
            assertThat(sink.count("numRecordsSendErrors")).isEqualTo(12);
            assertThat(server.documents).hasSize(1);
        }
    }

    @Test
    void backpressureBoundsWhatIsInMemory() throws Exception {
        CountDownLatch open = new CountDownLatch(1);
        FakeElasticsearch.Scene stuck = (exchange, lines) -> {
            open.await();
            FakeElasticsearch.answer(exchange, 503, "");
        };
        server.then(stuck).then(stuck);
        AtomicInteger accepted = new AtomicInteger();
        ExecutorService task = Executors.newSingleThreadExecutor();
        Future<Integer> dead = task.submit(() -> {
            try (Harness sink = new Harness(server.url())) {
                for (int i = 0; i < 500; i++) {
                    sink.write(i, i + 1);
                    accepted.incrementAndGet();
                }
                sink.flush();
                return sink.letters.written.size();
            }
        });
        Thread.sleep(300);
        assertThat(accepted.get()).isLessThanOrEqualTo(Harness.BATCH * (Harness.IN_FLIGHT + 2) + 1);
        open.countDown();
        assertThat(dead.get()).isZero();
        assertThat(server.documents).hasSize(500);
        task.shutdown();
    }

    @Test
    void backpressureCountsBytesToo() throws Exception {
        CountDownLatch open = new CountDownLatch(1);
        FakeElasticsearch.Scene stuck = (exchange, lines) -> {
            open.await();
            server.items(id -> null).play(exchange, lines);
        };
        server.then(stuck).then(stuck);
        AtomicInteger accepted = new AtomicInteger();
        ExecutorService task = Executors.newSingleThreadExecutor();
        Future<?> done = task.submit(() -> {
            try (Harness sink = new Harness(server.url(), 5_000, List.of())) {
                for (int i = 0; i < 40; i++) {
                    sink.writer.write(
                            Rows.with(Rows.order("big" + i, 1), 11, StringData.fromString("x".repeat(100_000))), null);
                    accepted.incrementAndGet();
                }
                sink.flush();
            }
            return null;
        });
        Thread.sleep(300);
        assertThat(accepted.get()).as("two under way, two waiting").isLessThanOrEqualTo(4);
        open.countDown();
        done.get();
        assertThat(server.documents).hasSize(40);
        assertThat(server.bulks).containsOnly(1);
        task.shutdown();
    }

    @Test
    void whatACheckpointFoundWaitingIsSentAfterTheRestore() throws Exception {
        List<BufferedRequestState<Document>> state;
        DocumentStateSerializer serializer = new DocumentStateSerializer();
        byte[] checkpoint;
        try (Harness sink = new Harness(server.url()).write(0, 10)) {
            sink.writer.write(Rows.order("o10", 1), null);
            sink.writer.write(Rows.with(Rows.order("o11", 7), 2, null), null);
            sink.writer.flush(false);
            state = sink.writer.snapshotState(1);
            checkpoint = serializer.serialize(state.get(0));
        }
        assertThat(server.documents).hasSize(10);
        BufferedRequestState<Document> restored = serializer.deserialize(serializer.getVersion(), checkpoint);
        try (Harness sink = new Harness(server.url(), 100, List.of(restored))) {
            sink.flush();
            assertThat(server.documents).hasSize(12);
            assertThat(server.documents.get("o11").version()).isEqualTo(7);
        }
        assertThat(restored.getBufferedRequestEntries())
                .extracting(entry -> entry.getRequestEntry().source())
                .containsExactly(
                        new Document.Source("deliveries", 1, (long) Math.abs("o10".hashCode())),
                        Document.Source.UNKNOWN);
    }

    @Test
    void rowsMayBeReused() throws Exception {
        var row = Rows.order("x", 1);
        try (Harness sink = new Harness(server.url())) {
            for (int i = 0; i < 30; i++) {
                row.setField(0, StringData.fromString("r" + i));
                sink.writer.write(row, null);
            }
            sink.flush();
            assertThat(server.documents).hasSize(30);
        }
    }

    @Test
    void rowsWithoutKeyOrVersionAreLeftToElasticsearchToReject() throws Exception {
        try (Harness sink = new Harness(server.url())) {
            sink.writer.write(Rows.with(Rows.order("a", 1), 0, null), null);
            sink.writer.write(Rows.with(Rows.order("b", 1), 1, null), null);
            sink.flush();
            assertThat(server.documents.get("").version()).isEqualTo(1);
            assertThat(server.documents.get("b").version()).isEqualTo(-1);
        }
    }
}
