package citystream.elasticsearch;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.base.sink.writer.AsyncSinkWriter;
import org.apache.flink.connector.base.sink.writer.BufferedRequestState;
import org.apache.flink.connector.base.sink.writer.DequeRequestBuffer;
import org.apache.flink.connector.base.sink.writer.ElementConverter;
import org.apache.flink.connector.base.sink.writer.RequestBuffer;
import org.apache.flink.connector.base.sink.writer.RequestEntryWrapper;
import org.apache.flink.connector.base.sink.writer.ResultHandler;
import org.apache.flink.connector.base.sink.writer.SimpleBatchCreator;
import org.apache.flink.connector.base.sink.writer.config.AsyncSinkWriterConfiguration;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.table.data.RowData;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends batches and settles each document by its verdict; all counting happens in the task's own thread. */
final class ElasticsearchWriter extends AsyncSinkWriter<RowData, Document> {

    private static final Logger LOG = LoggerFactory.getLogger(ElasticsearchWriter.class);

    private final MailboxExecutor mailbox;
    private final BulkClient client;
    private final DeadLetters deadLetters;
    private final ScheduledExecutorService threads;
    private final Tuning tuning;
    private final RequestBuffer<Document> buffer;
    private final long maxBatchBytes;

    private final Counter stored;
    private final Counter errors;
    private final Counter newer;
    private final Counter rejected;
    private final Counter retries;
    private long bulkMilliseconds;
    private long refusedSince;

    ElasticsearchWriter(
            ElementConverter<RowData, Document> converter,
            WriterInitContext context,
            AsyncSinkWriterConfiguration configuration,
            Collection<BufferedRequestState<Document>> states,
            ClientFactory clients,
            DeadLetters.Factory deadLetters,
            Tuning tuning)
            throws IOException {
        this(converter, context, configuration, states, new DequeRequestBuffer<>(), clients, deadLetters, tuning);
    }

    private ElasticsearchWriter(
            ElementConverter<RowData, Document> converter,
            WriterInitContext context,
            AsyncSinkWriterConfiguration configuration,
            Collection<BufferedRequestState<Document>> states,
            RequestBuffer<Document> buffer,
            ClientFactory clients,
            DeadLetters.Factory deadLetters,
            Tuning tuning)
            throws IOException {
        super(
                converter,
                context,
                configuration,
                resized(states, configuration.getMaxBatchSizeInBytes()),
                new SimpleBatchCreator<>(configuration.getMaxBatchSizeInBytes()),
                buffer);
        this.buffer = buffer;
        this.maxBatchBytes = configuration.getMaxBatchSizeInBytes();
        this.mailbox = context.getMailboxExecutor();
        this.tuning = tuning;
        SinkWriterMetricGroup metrics = context.metricGroup();
        stored = metrics.counter("documentsStored");
        errors = metrics.getNumRecordsSendErrorsCounter();
        newer = metrics.counter("documentsNewer");
        rejected = metrics.counter("documentsRejected");
        retries = metrics.counter("retries");
        metrics.gauge("bulkMilliseconds", () -> bulkMilliseconds);
        AtomicInteger number = new AtomicInteger();
        this.threads = Executors.newScheduledThreadPool(2, task -> {
            Thread thread = new Thread(task, "elasticsearch-sink-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        this.deadLetters = deadLetters.open();
        this.client = clients.open(threads);
        try {
            awaitWelcome();
        } catch (IOException | RuntimeException | Error refusal) {
            close();
            throw refusal;
        }
    }

    /** Fails at the start where nothing could ever be written; a server that is merely away is no reason to. */
    private void awaitWelcome() throws IOException {
        try {
            Verdict verdict = client.check().get();
            while (verdict.kind() == Verdict.Kind.REFUSED && !impatient()) {
                TimeUnit.MILLISECONDS.sleep(tuning.backoffMillis(4));
                verdict = client.check().get();
            }
            if (verdict.kind() == Verdict.Kind.REFUSED) {
                throw new ElasticsearchRefusal(verdict.detail());
            }
            if (verdict.kind() == Verdict.Kind.AGAIN) {
                LOG.warn("Elasticsearch can't be asked yet ({}); documents will wait for it", verdict.detail());
            }
            refusedSince = 0;
        } catch (InterruptedException interruption) {
            Thread.currentThread().interrupt();
            throw new IOException("Interrupted while waiting for Elasticsearch", interruption);
        } catch (ExecutionException impossible) {
            throw new IllegalStateException(impossible.getCause());
        }
    }

    /** Whether Elasticsearch has refused for longer than one that is starting does. */
    private boolean impatient() {
        long now = System.nanoTime();
        if (refusedSince == 0) {
            refusedSince = now;
        }
        return now - refusedSince >= tuning.refusalPatience().toNanos();
    }

    /** The base class bounds the buffer by documents only; this bounds it by bytes as well. */
    @Override
    public void write(RowData row, Context context) throws IOException, InterruptedException {
        while (buffer.totalSizeInBytes() >= 2 * maxBatchBytes) {
            mailbox.yield();
        }
        super.write(row, context);
    }

    @Override
    protected void submitRequestEntries(List<Document> documents, ResultHandler<Document> handler) {
        long start = System.nanoTime();
        client.send(documents)
                .thenCompose(verdicts -> bury(documents, verdicts))
                .whenComplete((verdicts, bug) -> mailbox.execute(
                        () -> {
                            bulkMilliseconds = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
                            if (bug == null) {
                                settle(documents, verdicts, handler);
                            } else {
                                handler.completeExceptionally(new IllegalStateException(bug));
                            }
                        },
                        "Settle a bulk request"));
    }

    /** Writes the rejected ones to the dead letters; where that fails, the document is tried again. */
    private CompletableFuture<List<Verdict>> bury(List<Document> documents, List<Verdict> verdicts) {
        List<Verdict> settled = new ArrayList<>(verdicts);
        List<CompletableFuture<Void>> letters = new ArrayList<>();
        for (int i = 0; i < verdicts.size(); i++) {
            if (verdicts.get(i).kind() == Verdict.Kind.REJECTED) {
                int place = i;
                letters.add(deadLetters
                        .send(documents.get(i), verdicts.get(i).detail())
                        .handle((done, error) -> {
                            if (error != null) {
                                settled.set(
                                        place,
                                        Verdict.again("the dead letter could not be written: " + error.getMessage()));
                            }
                            return null;
                        }));
            }
        }
        return CompletableFuture.allOf(letters.toArray(CompletableFuture[]::new))
                .thenApply(done -> settled);
    }

    private void settle(List<Document> documents, List<Verdict> verdicts, ResultHandler<Document> handler) {
        List<Document> again = new ArrayList<>();
        Verdict problem = null;
        Verdict refusal = null;
        for (int i = 0; i < verdicts.size(); i++) {
            Verdict verdict = verdicts.get(i);
            switch (verdict.kind()) {
                case STORED -> stored.inc();
                case NEWER -> newer.inc();
                case REJECTED -> rejected.inc();
                case AGAIN -> {
                    again.add(documents.get(i).again());
                    problem = verdict;
                }
                case REFUSED -> {
                    again.add(documents.get(i).again());
                    refusal = verdict;
                }
            }
        }
        if (refusal == null) {
            refusedSince = 0;
        } else if (impatient()) {
            handler.completeExceptionally(new ElasticsearchRefusal(refusal.detail()));
            return;
        }
        if (again.isEmpty()) {
            handler.complete();
            return;
        }
        errors.inc(again.size());
        retries.inc(again.size());
        int attempts = again.stream().mapToInt(Document::attempts).max().getAsInt();
        long delay = tuning.backoffMillis(attempts);
        LOG.warn(
                "Elasticsearch did not take {} of {} documents ({}); attempt {} follows in {} ms",
                again.size(),
                documents.size(),
                (refusal == null ? problem : refusal).detail(),
                attempts + 1,
                delay);
        threads.schedule(() -> handler.retryForEntries(again), delay, TimeUnit.MILLISECONDS);
    }

    /** A document larger than a batch counts as one that fills it, and so travels alone. */
    @Override
    protected long getSizeInBytes(Document document) {
        return Math.min(document.size(), maxBatchBytes);
    }

    private static List<BufferedRequestState<Document>> resized(
            Collection<BufferedRequestState<Document>> states, long maxBatchBytes) {
        return states.stream()
                .map(state -> new BufferedRequestState<>(state.getBufferedRequestEntries().stream()
                        .map(entry -> new RequestEntryWrapper<>(
                                entry.getRequestEntry(), Math.min(entry.getSize(), maxBatchBytes)))
                        .collect(Collectors.toList())))
                .collect(Collectors.toList());
    }

    @Override
    public void close() {
        threads.shutdownNow();
        deadLetters.close();
    }

    /** Opens the client where the writer runs. */
    @FunctionalInterface
    interface ClientFactory {
        BulkClient open(ScheduledExecutorService threads);
    }
}
