package citystream.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Random;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.junit.jupiter.api.Test;

/** COPY text, byte by byte; that PostgreSQL reads it back is in {@link StagedCommitSinkTest}. */
class CopyBufferTest {
    private final CopyBuffer buffer = new CopyBuffer(1);

    @Test
    void escapesWhatCopyTextEscapes() {
        buffer.putString(StringData.fromString("a\tb\nc\rd\\e"));
        assertThat(text()).isEqualTo("a\\tb\\nc\\rd\\\\e");
    }

    @Test
    void leavesEveryOtherByteAsItIs() {
        buffer.putString(StringData.fromString("대구🚲\b\f\u000b\u0001 plain"));
        assertThat(text()).isEqualTo("대구🚲\b\f\u000b\u0001 plain");
    }

    @Test
    void readsStringsThatSpanMemorySegments() {
        byte[] utf8 = "한\\글 🚲".getBytes(StandardCharsets.UTF_8);
        MemorySegment[] segments = new MemorySegment[8];
        for (int i = 0; i < segments.length; i++) {
            segments[i] = MemorySegmentFactory.wrap(new byte[4]);
        }
        for (int i = 0; i < utf8.length; i++) {
            segments[(i + 3) / 4].put((i + 3) % 4, utf8[i]);
        }
        buffer.putString(BinaryStringData.fromAddress(segments, 3, utf8.length));
        assertThat(text()).isEqualTo("한\\\\글 🚲");
    }

    @Test
    void writesNumbersAsJavaReadsThem() {
        Random random = new Random(7);
        for (int i = 0; i < 200_000; i++) {
            double value =
                    switch (i % 4) {
                        case 0 -> Math.round(random.nextDouble() * 1e9) / 1e7; // a coordinate
                        case 1 -> -random.nextInt(1_000_000) / 100.0;
                        case 2 -> random.nextGaussian() * 1e8;
                        default -> Double.longBitsToDouble(random.nextLong());
                    };
            buffer.putDouble(value);
            assertThat(Double.valueOf(text())).isEqualTo(Double.valueOf(value));
            buffer.clear();
        }
        for (double value :
                new double[] {0.0, -0.0, 1e-7, 5e-8, 99_999_999.9999999, 1e8, Double.MIN_VALUE, Double.MAX_VALUE}) {
            buffer.putDouble(value);
            assertThat(Double.valueOf(text())).isEqualTo(Double.valueOf(value));
            buffer.clear();
        }
        for (long value : new long[] {0, 9, 10, -1, Long.MAX_VALUE, Long.MIN_VALUE}) {
            buffer.putLong(value);
            assertThat(text()).isEqualTo(Long.toString(value));
            buffer.clear();
        }
    }

    @Test
    void writesTimesBeforeAndAfter1970() {
        for (LocalDateTime time : new LocalDateTime[] {
            LocalDateTime.of(1969, 12, 31, 23, 59, 59, 999_999_000),
            LocalDateTime.of(1, 1, 1, 0, 0, 0, 1_000),
            LocalDateTime.of(9999, 12, 31, 12, 34, 56, 789_000_000),
            LocalDateTime.of(9999, 12, 31, 0, 0)
        }) {
            buffer.putTimestamp(time.toEpochSecond(ZoneOffset.UTC) * 1_000_000 + time.getNano() / 1_000);
            assertThat(LocalDateTime.parse(text().replace(' ', 'T'))).isEqualTo(time);
            buffer.clear();
        }
    }

    private String text() {
        return new String(buffer.copy(), StandardCharsets.UTF_8);
    }
}
