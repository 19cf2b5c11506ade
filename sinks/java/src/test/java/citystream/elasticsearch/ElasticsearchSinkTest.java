package citystream.elasticsearch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.util.ExceptionUtils;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class ElasticsearchSinkTest {

    private static ElasticsearchSink sink(String url, String key) {
        return new ElasticsearchSink(url, key, "deliveries", Rows.TYPE, 100, 100_000, 2, 100, "localhost:1", "t");
    }

    @Test
    void isSerializableAndShowsNoSecret() throws Exception {
        ElasticsearchSink sink = InstantiationUtil.clone(sink("http://localhost:1/", Harness.KEY));
        assertThat(sink.toString()).doesNotContain(Harness.KEY);
    }

    @Test
    void namesTheSettingThatIsWrongWithoutItsValue() {
        assertThatThrownBy(() -> sink("http://elastic:secret@localhost:1", null))
                .hasMessageContaining("ELASTICSEARCH_URL")
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> sink("http://elastic:sec ret@localhost:1", null))
                .hasMessageContaining("ELASTICSEARCH_URL")
                .hasMessageNotContaining("ret@");
        assertThatThrownBy(() -> sink("http://localhost:1", "secret\n"))
                .hasMessageContaining("ELASTICSEARCH_API_KEY")
                .hasMessageNotContaining("secret");
    }

    /** A job with endless restarts and its objects reused. */
    private static void run(FakeElasticsearch server, int documents) throws Exception {
        Configuration settings = new Configuration();
        settings.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
        settings.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, Integer.MAX_VALUE);
        settings.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(10));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(settings);
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
        env.setParallelism(2);
        env.fromSequence(0, documents - 1)
                .map(number -> (RowData) Rows.order("o" + number, 1))
                .returns(InternalTypeInfo.of(Rows.TYPE.getLogicalType()))
                .sinkTo(new ElasticsearchSink(
                        server.url(),
                        null,
                        "deliveries",
                        Rows.TYPE,
                        100,
                        100_000,
                        2,
                        100,
                        () -> new Harness.Letters(),
                        Harness.QUICK));
        env.execute();
    }

    @Test
    @Timeout(60)
    void runsInAJobWithTroubles() throws Exception {
        try (FakeElasticsearch server = new FakeElasticsearch()) {
            server.thenStatus(503, "").thenStatus(429, "").then((exchange, lines) -> exchange.close());
            run(server, 5000);
            assertThat(server.documents).hasSize(5000);
        }
    }

    @Test
    @Timeout(60)
    void aRefusalEndsTheJobInsteadOfRestartingIt() throws Exception {
        try (FakeElasticsearch server = new FakeElasticsearch()) {
            server.indexStatus = 403;
            assertThatThrownBy(() -> run(server, 10)).satisfies(error -> assertThat(
                            ExceptionUtils.findThrowableWithMessage(error, "grant it the privileges index"))
                    .isPresent());
        }
    }
}
