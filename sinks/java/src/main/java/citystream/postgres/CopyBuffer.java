package citystream.postgres;

import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.Arrays;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * A growing byte buffer that speaks PostgreSQL's COPY text format: fields end with a tab, rows with a newline,
 * {@code \N} is null, and backslash, tab, newline and carriage return are escaped. Strings are copied as the UTF-8
 * bytes they are.
 */
final class CopyBuffer {
    private static final long MICROS_PER_DAY = 86_400_000_000L;

    private byte[] bytes;
    private int length;

    /** Orders of one day come together: the last date is kept as text. */
    private long cachedDay = Long.MIN_VALUE;

    private byte[] cachedDate;

    CopyBuffer(int capacity) {
        bytes = new byte[capacity];
    }

    byte[] bytes() {
        return bytes;
    }

    int length() {
        return length;
    }

    void clear() {
        length = 0;
    }

    byte[] copy() {
        return Arrays.copyOf(bytes, length);
    }

    void putRaw(byte[] raw) {
        reserve(raw.length);
        System.arraycopy(raw, 0, bytes, length, raw.length);
        length += raw.length;
    }

    void putNull() {
        put('\\');
        put('N');
    }

    void endField() {
        put('\t');
    }

    /** Turns the tab after the last field into the newline that ends the row. */
    void endRow() {
        bytes[length - 1] = '\n';
    }

    void putBoolean(boolean value) {
        put(value ? 't' : 'f');
    }

    /** Any text that needs no escaping. */
    void putAscii(String text) {
        putRaw(text.getBytes(StandardCharsets.US_ASCII));
    }

    void putLong(long value) {
        if (value == Long.MIN_VALUE) { // has no positive counterpart
            putAscii("-9223372036854775808");
            return;
        }
        if (value < 0) {
            put('-');
            value = -value;
        }
        int digits = 1;
        for (long rest = value; rest >= 10; rest /= 10) {
            digits++;
        }
        putDigits(value, digits);
    }

    /**
     * Numbers with up to seven decimals, as coordinates are, digit by digit: a quotient of two exact doubles is rounded
     * as the server rounds the digits, so equal here is equal there. Others as Java writes them.
     */
    void putDouble(double value) {
        long scaled = Math.round(value * 1e7);
        if (Math.abs(value) >= 1e8 || scaled / 1e7 != value || scaled == 0) {
            putAscii(Double.toString(value));
            return;
        }
        if (scaled < 0) {
            put('-');
            scaled = -scaled;
        }
        putLong(scaled / 10_000_000);
        put('.');
        putDigits(scaled % 10_000_000, 7);
    }

    void putDate(long epochDay) {
        if (epochDay != cachedDay) {
            LocalDate date = LocalDate.ofEpochDay(epochDay);
            String text = "%04d-%02d-%02d".formatted(date.getYear(), date.getMonthValue(), date.getDayOfMonth());
            cachedDate = text.getBytes(StandardCharsets.US_ASCII);
            cachedDay = epochDay;
        }
        putRaw(cachedDate);
    }

    /** A timestamp as {@code yyyy-MM-dd HH:mm:ss.ffffff}, given as microseconds since 1970. */
    void putTimestamp(long micros) {
        putDate(Math.floorDiv(micros, MICROS_PER_DAY));
        long rest = Math.floorMod(micros, MICROS_PER_DAY);
        put(' ');
        putDigits(rest / 3_600_000_000L, 2);
        put(':');
        putDigits(rest / 60_000_000 % 60, 2);
        put(':');
        putDigits(rest / 1_000_000 % 60, 2);
        put('.');
        putDigits(rest % 1_000_000, 6);
    }

    void putString(StringData text) {
        int start = length;
        if (text instanceof BinaryStringData binary) {
            binary.ensureMaterialized();
            int size = binary.getSizeInBytes();
            reserve(size);
            MemorySegment[] segments = binary.getSegments();
            if (segments.length == 1) {
                segments[0].get(binary.getOffset(), bytes, length, size);
                length += size;
            } else {
                putRaw(binary.toBytes());
            }
        } else {
            putRaw(text.toBytes());
        }
        for (int i = start; i < length; i++) {
            byte plain = bytes[i];
            if (plain == '\\' || (plain <= '\r' && escapeOf(plain) != 0)) {
                escapeFrom(i);
                return;
            }
        }
    }

    private void escapeFrom(int start) {
        byte[] tail = Arrays.copyOfRange(bytes, start, length);
        length = start;
        reserve(2 * tail.length);
        for (byte plain : tail) {
            char escape = escapeOf(plain);
            if (escape == 0) {
                bytes[length++] = plain;
            } else {
                bytes[length++] = '\\';
                bytes[length++] = (byte) escape;
            }
        }
    }

    private static char escapeOf(byte plain) {
        return switch (plain) {
            case '\\' -> '\\';
            case '\t' -> 't';
            case '\n' -> 'n';
            case '\r' -> 'r';
            default -> 0;
        };
    }

    private void putDigits(long value, int digits) {
        reserve(digits);
        for (int i = length + digits - 1; i >= length; i--) {
            bytes[i] = (byte) ('0' + value % 10);
            value /= 10;
        }
        length += digits;
    }

    private void put(char ascii) {
        reserve(1);
        bytes[length++] = (byte) ascii;
    }

    private void reserve(int more) {
        if (bytes.length - length < more) {
            bytes = Arrays.copyOf(bytes, Math.max(length + more, bytes.length + (bytes.length >> 1)));
        }
    }
}
