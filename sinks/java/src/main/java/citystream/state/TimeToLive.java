package citystream.state;

import java.time.Duration;
import org.apache.flink.api.common.state.StateTtlConfig;

/** How state per key is forgotten: a time after it was last written, and swept away without anybody asking for it. */
public final class TimeToLive {
    private TimeToLive() {}

    /** The configuration, where the time is one. */
    public static StateTtlConfig of(long millis) {
        return StateTtlConfig.newBuilder(Duration.ofMillis(positive(millis)))
                .updateTtlOnCreateAndWrite()
                .neverReturnExpired()
                // Heap: two entries looked at per access outpace the one that an access may add.
                .cleanupIncrementally(2, false)
                // RocksDB: in compaction, asking for the time once per so many entries.
                .cleanupInRocksdbCompactFilter(10_000)
                .build();
    }

    /** The same time; an operator asks when it is made, where a wrong setting can still be told. */
    public static long positive(long millis) {
        if (millis <= 0) {
            throw new IllegalArgumentException("The time to live must be positive, not " + millis + " ms");
        }
        return millis;
    }
}
