package citystream.elasticsearch;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.base.sink.AsyncSinkBase;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.connector.base.sink.writer.config.AsyncSinkWriterConfiguration;
import org.apache.flink.connector.base.sink.writer.strategy.AIMDScalingStrategy;
import org.apache.flink.connector.base.sink.writer.strategy.CongestionControlRateLimitingStrategy;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * Writes each row as a whole document into one Elasticsearch index. At-least-once delivery, exactly-once result.
 *
 * <p><b>The row.</b> Columns whose name begins with an underscore are about the document: {@code _id} STRING and
 * {@code _version} BIGINT are required, {@code _topic} STRING, {@code _partition} INT and {@code _offset} BIGINT name
 * its source in a dead letter. All others are the body, as JSON: TIMESTAMP_LTZ as ISO 8601 in UTC with milliseconds,
 * DATE as yyyy-MM-dd, ARRAY&lt;DOUBLE&gt; [lon, lat] for a geo_point; null columns are left out. A row is converted at
 * once and never kept, so objects may be reused. The stream holds inserts only: a row's kind is not looked at.
 *
 * <p><b>The contract.</b> The {@code _id} comes from the key and the version is external ({@code external_gte}), so a
 * document that is sent again, by a retry or after a crash, replaces itself, and one that is older than the index's
 * changes nothing.
 *
 * <ul>
 *   <li>201, 200: stored. 409: the index has a newer one, so this one is done as well.
 *   <li>429, 5xx, a timeout, a lost connection, an answer that makes no sense: sent again after an exponential backoff
 *       with jitter, for as long as it takes, with fewer documents under way; then backpressure. Never a drop, never a
 *       failed job.
 *   <li>Any other 4xx on one document (a field of the wrong type, one the strict mapping does not know, an id that is
 *       too long): a dead letter with Elasticsearch's reason. The document is done when Kafka has acknowledged it.
 *   <li>401, 403, an index with neither existence nor template, a closed one: the job fails, without restarts, with one
 *       sentence that says what to change; after half a minute, which an Elasticsearch that starts may need.
 * </ul>
 *
 * <p><b>Checkpoints.</b> What is buffered goes into the checkpoint, what is under way is waited for. While
 * Elasticsearch is away no checkpoint completes once the buffer is full, so a job must tolerate failed checkpoints
 * ({@code execution.checkpointing.tolerable-failed-checkpoints}) if it is to outlast an outage longer than the
 * checkpoint timeout. At most {@code maxInFlight} batches are under way, and about two more wait in the buffer.
 *
 * <p><b>Metrics.</b> {@code numRecordsSend} (sent, each attempt), {@code numRecordsSendErrors} and {@code retries} (to
 * be sent again); of the documents that are done {@code documentsStored}, {@code documentsNewer} (409) and
 * {@code documentsRejected} (dead letters); {@code bulkMilliseconds} (the last bulk request).
 */
public final class ElasticsearchSink extends AsyncSinkBase<RowData, Document> {

    private final String url;
    private final String apiKey;
    private final String index;
    private final DeadLetters.Factory deadLetters;
    private final Tuning tuning;

    /**
     * All that a job says of the sink.
     *
     * @param url the server, like {@code http://localhost:9200}
     * @param apiKey the API key in its encoded form, or null where the server asks for none; never shown
     * @param index the index, which exists or has a template
     * @param row the type of the rows
     * @param maxBatchSize the most documents in one bulk request
     * @param maxBatchBytes the most bytes in one bulk request; a larger document travels alone
     * @param maxInFlight the most bulk requests at once, per parallel instance
     * @param maxTimeInBufferMs how long a document waits for others at most
     * @param deadLetterBootstrapServers the Kafka brokers for rejected documents
     * @param deadLetterTopic their topic
     */
    public ElasticsearchSink(
            String url,
            String apiKey,
            String index,
            DataType row,
            int maxBatchSize,
            long maxBatchBytes,
            int maxInFlight,
            long maxTimeInBufferMs,
            String deadLetterBootstrapServers,
            String deadLetterTopic) {
        this(
                url,
                apiKey,
                index,
                row,
                maxBatchSize,
                maxBatchBytes,
                maxInFlight,
                maxTimeInBufferMs,
                () -> new KafkaDeadLetters(deadLetterBootstrapServers, deadLetterTopic, index),
                Tuning.DEFAULT);
    }

    ElasticsearchSink(
            String url,
            String apiKey,
            String index,
            DataType row,
            int maxBatchSize,
            long maxBatchBytes,
            int maxInFlight,
            long maxTimeInBufferMs,
            DeadLetters.Factory deadLetters,
            Tuning tuning) {
        super(
                new DocumentConverter((RowType) row.getLogicalType()),
                maxBatchSize,
                maxInFlight,
                2 * maxBatchSize,
                maxBatchBytes,
                maxTimeInBufferMs,
                maxBatchBytes);
        this.url = checkedUrl(url);
        this.apiKey = checkedKey(apiKey);
        this.index = index;
        this.deadLetters = deadLetters;
        this.tuning = tuning;
    }

    @Override
    public StatefulSinkWriter<RowData, BufferedRequestState<Document>> createWriter(WriterInitContext context)
            throws IOException {
        return restoreWriter(context, List.of());
    }

    @Override
    public StatefulSinkWriter<RowData, BufferedRequestState<Document>> restoreWriter(
            WriterInitContext context, Collection<BufferedRequestState<Document>> state) throws IOException {
        return new ElasticsearchWriter(
                getElementConverter(),
                context,
                configuration(),
                state,
                threads -> new BulkClient(url, apiKey, index, tuning.requestTimeout(), threads),
                deadLetters,
                tuning);
    }

    @Override
    public SimpleVersionedSerializer<BufferedRequestState<Document>> getWriterStateSerializer() {
        return new DocumentStateSerializer();
    }

    /** Half as many documents under way after each failure, a whole batch more after each success. */
    private AsyncSinkWriterConfiguration configuration() {
        int most = getMaxBatchSize() * getMaxInFlightRequests();
        return AsyncSinkWriterConfiguration.builder()
                .setMaxBatchSize(getMaxBatchSize())
                .setMaxBatchSizeInBytes(getMaxBatchSizeInBytes())
                .setMaxInFlightRequests(getMaxInFlightRequests())
                .setMaxBufferedRequests(getMaxBufferedRequests())
                .setMaxTimeInBufferMS(getMaxTimeInBufferMS())
                .setMaxRecordSizeInBytes(getMaxRecordSizeInBytes())
                .setRequestTimeoutMS(getRequestTimeoutMS())
                .setFailOnTimeout(false)
                .setRateLimitingStrategy(CongestionControlRateLimitingStrategy.builder()
                        .setMaxInFlightRequests(getMaxInFlightRequests())
                        .setInitialMaxInFlightMessages(most)
                        .setScalingStrategy(AIMDScalingStrategy.builder(most)
                                .setIncreaseRate(getMaxBatchSize())
                                .setDecreaseFactor(0.5)
                                .build())
                        .build())
                .build();
    }

    private static String checkedUrl(String url) {
        boolean plain;
        try {
            URI uri = new URI(url);
            plain = List.of("http", "https").contains(uri.getScheme())
                    && uri.getHost() != null
                    && uri.getUserInfo() == null;
        } catch (URISyntaxException malformed) {
            plain = false;
        }
        if (!plain) {
            throw new IllegalArgumentException(
                    "ELASTICSEARCH_URL must be http://HOST:PORT or https://HOST:PORT, without "
                            + "a user or password: those go into ELASTICSEARCH_API_KEY");
        }
        return url.replaceAll("/+$", "");
    }

    private static String checkedKey(String apiKey) {
        if (apiKey != null && !apiKey.matches("[A-Za-z0-9+/_=-]+")) {
            throw new IllegalArgumentException(
                    "ELASTICSEARCH_API_KEY has characters that an encoded API key never has: "
                            + "take the field 'encoded' of Elasticsearch's answer");
        }
        return apiKey;
    }
}
