package citystream.elasticsearch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.connector.base.sink.writer.TestSinkInitContext;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The contract, against a real server and with the project's own templates. */
@Timeout(60)
@EnabledIfEnvironmentVariable(named = "ELASTICSEARCH_URL", matches = ".+")
class RealElasticsearchTest {

    private static final Tuning TUNING =
            new Tuning(Duration.ofSeconds(20), Duration.ofMillis(10), Duration.ofMillis(80), Duration.ofMillis(300));

    private final Harness.Letters letters = new Harness.Letters();

    private StatefulSinkWriter<RowData, BufferedRequestState<Document>> open(String index) throws Exception {
        return new ElasticsearchSink(
                        RealServer.URL, RealServer.KEY, index, Rows.TYPE, 100, 100_000, 2, 1000, () -> letters, TUNING)
                .restoreWriter(new TestSinkInitContext(), List.of());
    }

    @Test
    void ordersAreStoredOnceWithTheirNewestVersion() throws Exception {
        try (RealServer server = new RealServer("deliveries")) {
            var writer = open(server.index);
            for (int replay = 0; replay < 2; replay++) {
                for (int i = 0; i < 1000; i++) {
                    writer.write(Rows.order("o" + i, 10 + i % 3), null);
                }
            }
            writer.write(Rows.order("o0", 9), null);
            writer.write(Rows.order("o1", 99), null);
            writer.flush(true);
            writer.close();
            assertThat(server.versions()).hasSize(1000).containsEntry("o0", 10L).containsEntry("o1", 99L);
            assertThat(letters.written).isEmpty();
            String near =
                    "{\"query\":{\"geo_distance\":{\"distance\":\"30km\",\"location\":{\"lat\":35.87,\"lon\":128.6}}}}";
            assertThat(server.search(near)
                            .path("hits")
                            .path("total")
                            .path("value")
                            .asLong())
                    .isEqualTo(1000);
        }
    }

    @Test
    void whatElasticsearchNeverTakesBecomesADeadLetter() throws Exception {
        try (RealServer server = new RealServer("deliveries")) {
            var writer = open(server.index);
            for (int i = 0; i < 50; i++) {
                writer.write(Rows.order("o" + i, 1), null);
            }
            writer.write(
                    Rows.with(Rows.order("place", 1), 18, new GenericArrayData(new double[] {35.87, 128.6})), null);
            writer.write(Rows.with(Rows.order("no id", 1), 0, null), null);
            writer.write(Rows.with(Rows.order("no version", 1), 1, null), null);
            writer.write(Rows.order("x".repeat(600), 1), null);
            writer.write(
                    Rows.with(Rows.order("long keyword", 1), 11, StringData.fromString("x".repeat(1_000_000))), null);
            writer.flush(true);
            writer.close();
            assertThat(server.versions()).hasSize(50);
            assertThat(letters.written).hasSize(5);
            assertThat(letters.written)
                    .extracting(Harness.Letter::detail)
                    .anyMatch(detail -> detail.contains("latitude"))
                    .anyMatch(detail -> detail.contains("must not be empty"))
                    .anyMatch(detail -> detail.contains("illegal version value"))
                    .anyMatch(detail -> detail.contains("is too long"))
                    .anyMatch(detail -> detail.contains("immense term") || detail.contains("max_bytes_length"));
        }
    }

    @Test
    void aFieldThatTheTemplateDoesNotKnowBecomesADeadLetter() throws Exception {
        try (RealServer server = new RealServer("districts")) {
            var writer = open(server.index);
            writer.write(Rows.order("o", 1), null);
            writer.flush(true);
            writer.close();
            assertThat(letters.written).singleElement().satisfies(letter -> assertThat(letter.detail())
                    .contains("strict_dynamic_mapping_exception")
                    .contains("order_id"));
        }
    }

    @Test
    void neitherIndexNorTemplateFailsTheJob() {
        assertThatThrownBy(() -> open("citystream-test-none"))
                .isInstanceOf(ElasticsearchRefusal.class)
                .hasMessageContaining("`make prepare`");
    }

    @Test
    void aClosedIndexFailsTheJobAndLosesNothing() throws Exception {
        try (RealServer server = new RealServer("deliveries")) {
            var writer = open(server.index);
            writer.write(Rows.order("a", 1), null);
            writer.flush(true);
            RealServer.expect(RealServer.ask("POST", "/" + server.index + "/_close", null));
            writer.write(Rows.order("b", 1), null);
            assertThatThrownBy(() -> writer.flush(true))
                    .rootCause()
                    .isInstanceOf(ElasticsearchRefusal.class)
                    .hasMessageContaining("_open");
            writer.close();
            assertThat(letters.written).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"read_only", "read_only_allow_delete", "write", "metadata"})
    void aBlockedIndexIsWaitedFor(String block) throws Exception {
        try (RealServer server = new RealServer("deliveries")) {
            RealServer.expect(RealServer.ask("PUT", "/" + server.index, null));
            server.block(block, true);
            var writer = open(server.index);
            var lift = CompletableFuture.runAsync(() -> {
                try {
                    Thread.sleep(2 * TUNING.refusalPatience().toMillis());
                    server.block(block, false);
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            writer.write(Rows.order("a", 1), null);
            writer.flush(true);
            writer.close();
            lift.join();
            assertThat(server.versions()).containsOnlyKeys("a");
            assertThat(letters.written).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"deliveries", "carbon", "districts"})
    void everyTemplateIsOneThatElasticsearchTakes(String name) throws Exception {
        try (RealServer server = new RealServer(name)) {
            RealServer.expect(RealServer.ask("PUT", "/" + server.index, null));
            assertThat(RealServer.expect(RealServer.ask("GET", "/" + server.index + "/_mapping", null))
                            .path(server.index)
                            .path("mappings")
                            .path("dynamic")
                            .asText())
                    .isEqualTo("strict");
        }
    }
}
