package citystream.elasticsearch;

import java.io.Serializable;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * How patient the sink is.
 *
 * @param requestTimeout how long one bulk request may take before it is sent again
 * @param firstBackoff about how long the first retry waits; each further one twice as long
 * @param maxBackoff the longest wait
 * @param refusalPatience how long a refusal is taken for a server that is still starting: an Elasticsearch whose
 *     security index is not yet readable answers 401 to a good key
 */
record Tuning(Duration requestTimeout, Duration firstBackoff, Duration maxBackoff, Duration refusalPatience)
        implements Serializable {

    static final Tuning DEFAULT =
            new Tuning(Duration.ofSeconds(60), Duration.ofMillis(200), Duration.ofSeconds(10), Duration.ofSeconds(30));

    /** Exponential backoff, capped, with jitter between half and the whole of it. */
    long backoffMillis(int attempts) {
        long exponential = firstBackoff.toMillis() << Math.min(attempts - 1, 20);
        long capped = Math.max(2, Math.min(exponential, maxBackoff.toMillis()));
        return ThreadLocalRandom.current().nextLong(capped / 2, capped + 1);
    }
}
