package citystream.elasticsearch;

import java.io.Serializable;
import java.util.concurrent.CompletableFuture;

/** Where documents go that Elasticsearch will never take. */
interface DeadLetters extends AutoCloseable {

    /**
     * Sends one document there.
     *
     * @param document what was rejected
     * @param detail why, in Elasticsearch's words
     * @return completed when it is stored for good; exceptionally when it may not be, then it is sent again
     */
    CompletableFuture<Void> send(Document document, String detail);

    @Override
    void close();

    /** Opens it where the writer runs. */
    @FunctionalInterface
    interface Factory extends Serializable {
        DeadLetters open();
    }
}
