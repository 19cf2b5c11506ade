package citystream.records;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Arrays;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

/**
 * Reads a JSON object (RFC 8259, strictly) into a row in one pass over its bytes, and says what is wrong instead of
 * throwing.
 *
 * <p>A string without escapes is not copied: the column points into the record. A field is first compared with the one
 * that follows the last (producers keep their order), then looked up.
 *
 * <p>The reasons, each followed by {@code ": "} and a detail of at most 200 characters that names the field and what was
 * found:
 *
 * <ul>
 *   <li>{@code null-value}: no value at all, a tombstone; {@code empty}: nothing but whitespace
 *   <li>{@code not-json}: whatever breaks the grammar: truncated (also in the middle of a character), NaN, text after the
 *       end, a raw control character
 *   <li>{@code invalid-utf8}: overlong, surrogate, cut or stray bytes; a lone surrogate as an escape
 *   <li>{@code nul-byte}: U+0000 in any string, raw or escaped
 *   <li>{@code not-an-object}: valid JSON, but an array, a string, ...
 *   <li>{@code missing-field}: a required field is absent or null; {@code duplicate-field}: a column's field is there twice
 *   <li>{@code wrong-type}: {@code "5"}, {@code 5.0}, {@code 5e0} and {@code true} are no INT; text that is no time
 *   <li>{@code out-of-range}: a number its type can't hold; a time before the year 1 or after 9999 in UTC
 *   <li>{@code too-long}: a string column's limit in bytes of UTF-8
 * </ul>
 *
 * <p>A record that isn't JSON or UTF-8 (or has a raw NUL in a string) says so, whatever else is wrong before; otherwise the first thing wrong is
 * reported. Fields that are no column are skipped, but must be valid.
 *
 * <p>Not thread-safe; keeps nothing between records.
 */
final class RecordJsonParser {
    private static final int STRING = 0;
    private static final int INT = 1;
    private static final int BIGINT = 2;
    private static final int DOUBLE = 3;
    private static final int BOOLEAN = 4;
    private static final int TIMESTAMP = 5;
    private static final int DATE = 6;
    private static final int DECIMAL = 7;

    private static final int MAX_DETAIL = 200;
    private static final int MAX_SNIPPET = 40;
    private static final int MAX_DECIMAL_CHARS = 1000;

    private static final long MIN_MILLIS = -62_135_596_800_000L; // 0001-01-01T00:00:00Z
    private static final long MAX_MILLIS = 253_402_300_799_999L; // 9999-12-31T23:59:59.999Z

    /** Powers of ten that a double holds exactly. */
    private static final double[] EXACT_TENS = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22
    };

    /** The way out of a record that is no JSON, or no UTF-8; {@link #problem} says why. */
    private static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1L;
        static final Malformed INSTANCE = new Malformed();

        private Malformed() {
            super(null, null, false, false);
        }
    }

    // The columns
    private final int columns;
    private final String[] names;
    private final byte[][] nameBytes;
    private final boolean[] plainName;
    private final int[] kinds;
    private final LogicalType[] types;
    private final boolean[] optional;
    private final int maxStringBytes;
    private final int[] lookup;

    // The record
    private byte[] buf;
    private int pos;
    private int end;
    private MemorySegment[] segments;
    private String problem;
    private long record;
    private final long[] seenIn;
    private long[] nesting = new long[1];

    // The string read last: its bytes in the record, without quotes
    private int from;
    private int to;
    private boolean escaped;

    // The number read last
    private boolean negative;
    private boolean integral;
    private long mantissa;
    private int digits;
    private int exponent;

    RecordJsonParser(String[] names, LogicalType[] types, boolean[] optional, int maxStringBytes) {
        this.columns = names.length;
        this.names = names;
        this.types = types;
        this.optional = optional;
        this.maxStringBytes = maxStringBytes;
        this.nameBytes = new byte[columns][];
        this.plainName = new boolean[columns];
        this.kinds = new int[columns];
        this.seenIn = new long[columns];
        this.lookup = new int[Math.max(4, Integer.highestOneBit(columns) * 4)];
        Arrays.fill(lookup, -1);
        for (int i = 0; i < columns; i++) {
            kinds[i] = kind(names[i], types[i]);
            byte[] bytes = names[i].getBytes(StandardCharsets.UTF_8);
            nameBytes[i] = bytes;
            plainName[i] = names[i].chars().allMatch(c -> c >= 0x20 && c != '"' && c != '\\' && !isSurrogate(c));
            int at = hash(bytes, 0, bytes.length) & (lookup.length - 1);
            while (lookup[at] >= 0) {
                at = (at + 1) & (lookup.length - 1);
            }
            lookup[at] = i;
        }
    }

    private static int kind(String name, LogicalType type) {
        switch (type.getTypeRoot()) {
            case VARCHAR:
                return STRING;
            case INTEGER:
                return INT;
            case BIGINT:
                return BIGINT;
            case DOUBLE:
                return DOUBLE;
            case BOOLEAN:
                return BOOLEAN;
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return TIMESTAMP;
            case DATE:
                return DATE;
            case DECIMAL:
                return DECIMAL;
            default:
                throw new ValidationException(
                        "Column " + name + " is " + type + "; record-json reads STRING, INT, BIGINT, DOUBLE, BOOLEAN,"
                                + " TIMESTAMP_LTZ, DATE and DECIMAL");
        }
    }

    /** Fills the row's first columns and returns null, or leaves them null and returns what is wrong. */
    String parse(byte[] value, GenericRowData row) {
        if (value == null) {
            return "null-value: the record has no value (a tombstone)";
        }
        buf = value;
        pos = 0;
        end = value.length;
        segments = null;
        problem = null;
        record++;
        try {
            record(row);
        } catch (Malformed e) {
            // problem says it
        }
        buf = null;
        segments = null;
        if (problem != null) {
            for (int i = 0; i < columns; i++) {
                row.setField(i, null);
            }
        }
        return problem;
    }

    private void record(GenericRowData row) {
        skipSpace();
        if (pos == end) {
            problem = "empty: the record's value is " + (end == 0 ? "empty" : "blank, " + end + " bytes");
            return;
        }
        if (buf[pos] != '{') {
            int start = pos;
            skipValue();
            endOfRecord();
            problem = null;
            problem("not-an-object", "found " + describe(start, pos));
            return;
        }
        pos++;
        skipSpace();
        int found = 0;
        if (pos < end && buf[pos] == '}') {
            pos++;
        } else {
            int next = 0;
            while (true) {
                int column = name(next);
                if (column < 0) {
                    skipValue();
                } else {
                    next = column + 1;
                    if (seenIn[column] == record) {
                        problem("duplicate-field", names[column] + " is there more than once");
                        skipValue();
                    } else {
                        seenIn[column] = record;
                        found++;
                        value(row, column);
                    }
                }
                skipSpace();
                int c = pos < end ? buf[pos] : -1;
                if (c == ',') {
                    pos++;
                    skipSpace();
                } else if (c == '}') {
                    pos++;
                    break;
                } else {
                    throw expected("',' or '}'");
                }
            }
        }
        endOfRecord();
        if (found < columns) {
            for (int i = 0; i < columns; i++) {
                if (seenIn[i] != record && !optional[i]) {
                    problem("missing-field", names[i] + " is missing");
                }
            }
        }
    }

    private void endOfRecord() {
        skipSpace();
        if (pos < end) {
            throw expected("the end");
        }
    }

    /** A field's name and its colon; stops at its value. Returns its column, or -1. */
    private int name(int next) {
        int column;
        int at = pos;
        byte[] likely = next < columns ? nameBytes[next] : null;
        if (likely != null
                && at + likely.length + 1 < end
                && buf[at + likely.length + 1] == '"'
                && buf[at] == '"'
                && plainName[next]
                && Arrays.equals(buf, at + 1, at + 1 + likely.length, likely, 0, likely.length)) {
            pos = at + likely.length + 2;
            column = next;
        } else {
            if (at >= end || buf[at] != '"') {
                throw expected("a field's name in quotes");
            }
            string();
            if (escaped) {
                byte[] name = unescape();
                column = find(name, 0, name.length);
            } else {
                column = find(buf, from, to);
            }
        }
        skipSpace();
        if (pos >= end || buf[pos] != ':') {
            throw expected("':'");
        }
        pos++;
        skipSpace();
        return column;
    }

    private int find(byte[] bytes, int start, int stop) {
        int mask = lookup.length - 1;
        int at = hash(bytes, start, stop) & mask;
        for (int i; (i = lookup[at]) >= 0; at = (at + 1) & mask) {
            if (Arrays.equals(bytes, start, stop, nameBytes[i], 0, nameBytes[i].length)) {
                return i;
            }
        }
        return -1;
    }

    private static int hash(byte[] bytes, int start, int stop) {
        int h = 0x811C9DC5;
        for (int i = start; i < stop; i++) {
            h = (h ^ bytes[i]) * 0x01000193;
        }
        return h ^ (h >>> 15);
    }

    // Columns

    private void value(GenericRowData row, int column) {
        int start = pos;
        int c = start < end ? buf[start] : -1;
        if (c == 'n') {
            literal("null");
            if (!optional[column]) {
                problem("missing-field", names[column] + " is null");
            }
            return;
        }
        switch (kinds[column]) {
            case STRING:
                if (c == '"') {
                    stringColumn(row, column);
                    return;
                }
                break;
            case INT:
            case BIGINT:
                if (isNumber(c)) {
                    number();
                    if (integral) {
                        integerColumn(row, column, start);
                        return;
                    }
                    pos = start;
                }
                break;
            case DOUBLE:
                if (isNumber(c)) {
                    number();
                    doubleColumn(row, column, start);
                    return;
                }
                break;
            case BOOLEAN:
                if (c == 't') {
                    literal("true");
                    row.setField(column, Boolean.TRUE);
                    return;
                }
                if (c == 'f') {
                    literal("false");
                    row.setField(column, Boolean.FALSE);
                    return;
                }
                break;
            case TIMESTAMP:
                if (c == '"') {
                    timestampColumn(row, column, start);
                    return;
                }
                break;
            case DATE:
                if (c == '"') {
                    dateColumn(row, column, start);
                    return;
                }
                break;
            default:
                if (isNumber(c)) {
                    number();
                    decimalColumn(row, column, start);
                    return;
                }
                break;
        }
        skipValue();
        wrongType(column, start);
    }

    private void stringColumn(GenericRowData row, int column) {
        string();
        if (escaped) {
            byte[] text = unescape();
            if (fits(column, text.length)) {
                row.setField(column, BinaryStringData.fromBytes(text));
            }
        } else if (fits(column, to - from)) {
            MemorySegment[] shared = segments;
            if (shared == null) {
                shared = segments = new MemorySegment[] {MemorySegmentFactory.wrap(buf)};
            }
            row.setField(column, new BinaryStringData(shared, from, to - from));
        }
    }

    private boolean fits(int column, int bytes) {
        if (bytes <= maxStringBytes) {
            return true;
        }
        problem("too-long", names[column] + ": " + bytes + " bytes, at most " + maxStringBytes);
        return false;
    }

    private void integerColumn(GenericRowData row, int column, int start) {
        if (digits <= 18) {
            long n = negative ? -mantissa : mantissa;
            if (kinds[column] == BIGINT) {
                row.setField(column, n);
                return;
            }
            if (n == (int) n) {
                row.setField(column, (int) n);
                return;
            }
        } else if (digits == 19 && kinds[column] == BIGINT) {
            // 19 digits wrap around once at most, and then show it in the sign.
            if (mantissa >= 0) {
                row.setField(column, negative ? -mantissa : mantissa);
                return;
            }
            if (negative && mantissa == Long.MIN_VALUE) {
                row.setField(column, mantissa);
                return;
            }
        }
        outOfRange(column, start);
    }

    private void doubleColumn(GenericRowData row, int column, int start) {
        double d;
        if (digits <= 18 && mantissa <= 1L << 53 && exponent >= -22 && exponent <= 22) {
            // Both are exact, so that the one rounding gives the nearest double.
            d = exponent < 0 ? mantissa / EXACT_TENS[-exponent] : mantissa * EXACT_TENS[exponent];
            if (negative) {
                d = -d;
            }
        } else {
            d = Double.parseDouble(ascii(start, pos));
            if (Double.isInfinite(d)) {
                outOfRange(column, start);
                return;
            }
        }
        row.setField(column, d);
    }

    private void decimalColumn(GenericRowData row, int column, int start) {
        DecimalType type = (DecimalType) types[column];
        int precision = type.getPrecision();
        int scale = type.getScale();
        if (pos - start <= MAX_DECIMAL_CHARS) {
            try {
                BigDecimal n = new BigDecimal(ascii(start, pos));
                n = n.signum() == 0 ? BigDecimal.ZERO : n.stripTrailingZeros();
                if ((long) n.precision() - n.scale() <= precision - scale && n.scale() <= scale) {
                    row.setField(column, DecimalData.fromBigDecimal(n, precision, scale));
                    return;
                }
            } catch (ArithmeticException | NumberFormatException e) {
                // An exponent beyond all bounds
            }
        }
        outOfRange(column, start);
    }

    /** yyyy-MM-ddTHH:mm:ss.SSSZ is read in place, whatever else ISO 8601 allows by the library. */
    private void timestampColumn(GenericRowData row, int column, int start) {
        byte[] b = buf;
        int p = start + 1;
        long millis;
        int nanos = 0;
        if (start + 25 < end
                && b[start + 25] == '"'
                && b[p + 4] == '-'
                && b[p + 7] == '-'
                && b[p + 10] == 'T'
                && b[p + 13] == ':'
                && b[p + 16] == ':'
                && b[p + 19] == '.'
                && b[p + 23] == 'Z') {
            int year = two(p) * 100 + two(p + 2);
            int month = two(p + 5);
            int day = two(p + 8);
            int hour = two(p + 11);
            int minute = two(p + 14);
            int second = two(p + 17);
            int milli = two(p + 20) * 10 + (b[p + 22] - '0');
            int last = b[p + 22] - '0';
            // two() is negative, by far, for what is no digit; the year's first half then outweighs its second.
            if (two(p) >= 0 && two(p + 2) >= 0 && year >= 1
                    && month >= 1 && month <= 12
                    && day >= 1 && day <= lengthOfMonth(year, month)
                    && hour >= 0 && hour <= 23
                    && minute >= 0 && minute <= 59
                    && second >= 0 && second <= 59
                    && two(p + 20) >= 0 && last >= 0 && last <= 9) {
                pos = start + 26;
                millis = (epochDay(year, month, day) * 86_400L + hour * 3600 + minute * 60 + second) * 1000 + milli;
                setTimestamp(row, column, millis, 0);
                return;
            }
        }
        String text = text();
        OffsetDateTime time = dateTime(text);
        if (time == null) {
            wrongType(column, start);
            return;
        }
        millis = time.toEpochSecond() * 1000 + time.getNano() / 1_000_000;
        nanos = time.getNano() % 1_000_000;
        if (millis < MIN_MILLIS || millis > MAX_MILLIS) {
            outOfRange(column, start);
            return;
        }
        setTimestamp(row, column, millis, nanos);
    }

    private void setTimestamp(GenericRowData row, int column, long millis, int nanos) {
        int precision = ((LocalZonedTimestampType) types[column]).getPrecision();
        if (precision < 3) {
            millis -= Math.floorMod(millis, (long) EXACT_TENS[3 - precision]);
            nanos = 0;
        } else if (nanos != 0) {
            nanos -= nanos % (int) EXACT_TENS[9 - precision];
        }
        row.setField(column, TimestampData.fromEpochMillis(millis, nanos));
    }

    /** Two digits, or less than -100 if they are none. */
    private int two(int at) {
        int tens = buf[at] - '0';
        int ones = buf[at + 1] - '0';
        return (tens | ones | 9 - tens | 9 - ones) < 0 ? -1000 : tens * 10 + ones;
    }

    private static int lengthOfMonth(int year, int month) {
        if (month == 2) {
            return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
        }
        return 30 + ((month + (month >> 3)) & 1);
    }

    /** Days since 1970-01-01 in the proleptic Gregorian calendar, for years from 1. */
    private static int epochDay(int year, int month, int day) {
        int y = month <= 2 ? year - 1 : year;
        int dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1; // from 1 March
        return y * 365 + y / 4 - y / 100 + y / 400 + dayOfYear - 719_468;
    }

    /** ISO 8601 with seconds and an offset; null if it isn't. */
    private static OffsetDateTime dateTime(String text) {
        int t = text.indexOf('T', 1);
        if (t < 0) {
            t = text.indexOf('t', 1);
        }
        // The library takes a time without seconds, and a point without a fraction.
        if (t < 0 || text.length() > 64 || text.length() <= t + 9 || text.charAt(t + 6) != ':'
                || (text.charAt(t + 9) == '.' && !(text.length() > t + 10 && Character.isDigit(text.charAt(t + 10))))) {
            return null;
        }
        try {
            return OffsetDateTime.parse(longYear(text));
        } catch (DateTimeException e) {
            return null;
        }
    }

    /** A year of more than four digits has a sign in ISO 8601; without it, it is as much out of range. */
    private static String longYear(String text) {
        int dash = text.indexOf('-');
        return dash > 4 && text.charAt(0) != '+' ? "+" + text : text;
    }

    private void dateColumn(GenericRowData row, int column, int start) {
        String text = text();
        LocalDate date;
        try {
            date = text.length() > 64 ? null : LocalDate.parse(longYear(text));
        } catch (DateTimeException e) {
            date = null;
        }
        if (date == null) {
            wrongType(column, start);
        } else if (date.getYear() < 1 || date.getYear() > 9999) {
            outOfRange(column, start);
        } else {
            row.setField(column, (int) date.toEpochDay());
        }
    }

    private String text() {
        string();
        return escaped
                ? new String(unescape(), StandardCharsets.UTF_8)
                : new String(buf, from, to - from, StandardCharsets.UTF_8);
    }

    private String ascii(int start, int stop) {
        return new String(buf, start, stop - start, StandardCharsets.ISO_8859_1);
    }

    // The grammar

    private void skipSpace() {
        byte[] b = buf;
        int p = pos;
        while (p < end && (b[p] == ' ' || b[p] == '\n' || b[p] == '\r' || b[p] == '\t')) {
            p++;
        }
        pos = p;
    }

    /** Any value, checked; not by recursion, so that no nesting is too deep. */
    private void skipValue() {
        int depth = 0;
        while (true) {
            int c = pos < end ? buf[pos] : -1;
            if (c == '{' || c == '[') {
                boolean object = c == '{';
                pos++;
                skipSpace();
                if (pos < end && buf[pos] == (object ? '}' : ']')) {
                    pos++;
                } else {
                    push(depth++, object);
                    if (object) {
                        name(columns);
                    }
                    continue;
                }
            } else if (c == '"') {
                string();
            } else if (isNumber(c)) {
                number();
            } else if (c == 't') {
                literal("true");
            } else if (c == 'f') {
                literal("false");
            } else if (c == 'n') {
                literal("null");
            } else {
                throw expected("a value");
            }
            while (true) {
                if (depth == 0) {
                    return;
                }
                boolean object = isObject(depth - 1);
                skipSpace();
                c = pos < end ? buf[pos] : -1;
                if (c == ',') {
                    pos++;
                    skipSpace();
                    if (object) {
                        name(columns);
                    }
                    break;
                }
                if (c != (object ? '}' : ']')) {
                    throw expected(object ? "',' or '}'" : "',' or ']'");
                }
                pos++;
                depth--;
            }
        }
    }

    private void push(int depth, boolean object) {
        int word = depth >> 6;
        if (word == nesting.length) {
            nesting = Arrays.copyOf(nesting, 2 * nesting.length);
        }
        long bit = 1L << depth;
        nesting[word] = object ? nesting[word] | bit : nesting[word] & ~bit;
    }

    private boolean isObject(int depth) {
        return (nesting[depth >> 6] & 1L << depth) != 0;
    }

    private void literal(String word) {
        for (int i = 0; i < word.length(); i++, pos++) {
            if (pos >= end || buf[pos] != word.charAt(i)) {
                throw expected(word);
            }
        }
    }

    private static boolean isNumber(int c) {
        return c == '-' || c >= '0' && c <= '9';
    }

    private void number() {
        byte[] b = buf;
        int e = end;
        int p = pos;
        negative = b[p] == '-';
        if (negative) {
            p++;
        }
        int first = p;
        long m = 0;
        int d;
        while (p < e && (d = b[p] - '0') >= 0 && d <= 9) {
            m = m * 10 + d;
            p++;
        }
        int n = p - first;
        pos = p;
        if (n == 0) {
            throw expected("a digit");
        }
        if (n > 1 && b[first] == '0') {
            pos = first + 1;
            throw expected("no digit after a leading 0");
        }
        boolean whole = true;
        long exp = 0;
        if (p < e && b[p] == '.') {
            whole = false;
            int point = p++;
            while (p < e && (d = b[p] - '0') >= 0 && d <= 9) {
                m = m * 10 + d;
                p++;
            }
            int fraction = p - point - 1;
            pos = p;
            if (fraction == 0) {
                throw expected("a digit");
            }
            n += fraction;
            exp = -fraction;
        }
        if (p < e && (b[p] | 0x20) == 'e') {
            whole = false;
            p++;
            boolean minus = p < e && b[p] == '-';
            if (p < e && (b[p] == '-' || b[p] == '+')) {
                p++;
            }
            int start = p;
            long x = 0;
            while (p < e && (d = b[p] - '0') >= 0 && d <= 9) {
                x = Math.min(x * 10 + d, 1_000_000_000);
                p++;
            }
            pos = p;
            if (p == start) {
                throw expected("a digit");
            }
            exp += minus ? -x : x;
        }
        pos = p;
        mantissa = m;
        digits = n;
        integral = whole;
        exponent = (int) Math.max(-1_000_000_000, Math.min(1_000_000_000, exp));
    }

    /** A string, checked; pos is at its first quote, and then behind its last. */
    private void string() {
        byte[] b = buf;
        int e = end;
        int p = pos + 1;
        from = p;
        boolean escapes = false;
        while (p < e) {
            int c = b[p];
            if (c >= 0x20) {
                if (c == '"') {
                    to = p;
                    pos = p + 1;
                    escaped = escapes;
                    return;
                }
                if (c == '\\') {
                    escapes = true;
                    p = escape(p);
                } else {
                    p++;
                }
            } else if (c < 0) {
                // Hangul and all else up to U+FFFF, without what is overlong or a surrogate
                if ((c & 0xF0) == 0xE0
                        && p + 2 < e
                        && (b[p + 1] & 0xC0) == 0x80
                        && (b[p + 2] & 0xC0) == 0x80
                        && (c != (byte) 0xE0 || (b[p + 1] & 0x20) != 0)
                        && (c != (byte) 0xED || (b[p + 1] & 0x20) == 0)) {
                    p += 3;
                } else {
                    p = character(p);
                }
            } else if (c == 0) {
                throw fail("nul-byte", "a raw U+0000 in a string, at byte " + p);
            } else {
                pos = p;
                throw fail("not-json", String.format("a raw control character U+%04X in a string, at byte %d", c, p));
            }
        }
        pos = p;
        throw expected("the end of a string");
    }

    /** Checks a character of more than one byte and returns where the next one is. */
    private int character(int p) {
        int c = buf[p] & 0xFF;
        int length = c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
        int low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        int high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        boolean valid = length > 0;
        for (int i = 1; valid && i < length; i++) {
            if (p + i == end) {
                pos = end;
                throw expected("the rest of a character");
            }
            int next = buf[p + i] & 0xFF;
            valid = i == 1 ? next >= low && next <= high : (next & 0xC0) == 0x80;
        }
        if (!valid) {
            StringBuilder hex = new StringBuilder();
            for (int i = p; i < Math.min(end, p + Math.max(1, length)); i++) {
                hex.append(String.format(" %02X", buf[i]));
            }
            throw fail("invalid-utf8", "at byte " + p + ":" + hex);
        }
        return p + length;
    }

    /** Checks what follows a backslash and returns where the string goes on. */
    private int escape(int p) {
        int c = p + 1 < end ? buf[p + 1] : -1;
        switch (c) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't':
                return p + 2;
            case 'u':
                int unit = hex4(p + 2);
                if (unit == 0) {
                    problem("nul-byte", "U+0000 as an escape in a string, at byte " + p);
                } else if (isSurrogate(unit)) {
                    if (unit < 0xDC00 && p + 7 < end && buf[p + 6] == '\\' && buf[p + 7] == 'u') {
                        int second = hex4(p + 8);
                        if (second >= 0xDC00 && second <= 0xDFFF) {
                            return p + 12;
                        }
                    }
                    problem("invalid-utf8", String.format("a lone surrogate \\u%04X as an escape, at byte %d", unit, p));
                }
                return p + 6;
            default:
                pos = Math.min(end, p + 1);
                throw expected("an escape");
        }
    }

    private int hex4(int p) {
        int unit = 0;
        for (int i = p; i < p + 4; i++) {
            int c = i < end ? buf[i] : -1;
            int d = c < 0x80 ? Character.digit(c, 16) : -1;
            if (c < 0 || d < 0) {
                pos = Math.min(i, end);
                throw expected("four hex digits");
            }
            unit = unit << 4 | d;
        }
        return unit;
    }

    private static boolean isSurrogate(int unit) {
        return unit >= 0xD800 && unit <= 0xDFFF;
    }

    /** The string read last, which has been checked, without its escapes. */
    private byte[] unescape() {
        byte[] text = new byte[to - from];
        int n = 0;
        for (int p = from; p < to; ) {
            int c = buf[p++];
            if (c != '\\') {
                text[n++] = (byte) c;
                continue;
            }
            c = buf[p++];
            switch (c) {
                case 'b':
                    text[n++] = '\b';
                    break;
                case 'f':
                    text[n++] = '\f';
                    break;
                case 'n':
                    text[n++] = '\n';
                    break;
                case 'r':
                    text[n++] = '\r';
                    break;
                case 't':
                    text[n++] = '\t';
                    break;
                case 'u':
                    int u = hex4(p);
                    p += 4;
                    if (isSurrogate(u)) {
                        if (p + 6 > to || buf[p] != '\\' || buf[p + 1] != 'u') {
                            u = '?'; // a lone one: the record is refused already
                        } else {
                            u = 0x10000 + ((u & 0x3FF) << 10) + (hex4(p + 2) & 0x3FF);
                            p += 6;
                        }
                    }
                    if (u < 0x80) {
                        text[n++] = (byte) u;
                    } else {
                        if (u < 0x800) {
                            text[n++] = (byte) (0xC0 | u >> 6);
                        } else {
                            if (u < 0x10000) {
                                text[n++] = (byte) (0xE0 | u >> 12);
                            } else {
                                text[n++] = (byte) (0xF0 | u >> 18);
                                text[n++] = (byte) (0x80 | u >> 12 & 0x3F);
                            }
                            text[n++] = (byte) (0x80 | u >> 6 & 0x3F);
                        }
                        text[n++] = (byte) (0x80 | u & 0x3F);
                    }
                    break;
                default:
                    text[n++] = (byte) c;
            }
        }
        return Arrays.copyOf(text, n);
    }

    // What is wrong

    /** Remembers the first thing wrong and goes on: what follows may not even be JSON. */
    private void problem(String reason, String detail) {
        if (problem == null) {
            problem = reason + ": " + cut(detail, MAX_DETAIL);
        }
    }

    private Malformed fail(String reason, String detail) {
        problem = null;
        problem(reason, detail);
        return Malformed.INSTANCE;
    }

    /** What was found at pos instead; a byte that starts no character is told as that. */
    private Malformed expected(String what) {
        if (pos >= end) {
            return fail("not-json", "ends at byte " + end + " where " + what + " was expected (truncated?)");
        }
        if (buf[pos] < 0) {
            character(pos);
        }
        return fail("not-json", "expected " + what + " at byte " + pos + ", found " + snippet(pos, end, 12));
    }

    private void wrongType(int column, int start) {
        problem("wrong-type", names[column] + ": expected " + typeName(column) + ", found " + describe(start, pos));
    }

    private void outOfRange(int column, int start) {
        problem("out-of-range", names[column] + ": " + describe(start, pos) + " is out of range for " + typeName(column));
    }

    private String typeName(int column) {
        return types[column].is(LogicalTypeRoot.VARCHAR) ? "STRING" : types[column].copy(true).asSummaryString();
    }

    private String describe(int start, int stop) {
        switch (buf[start]) {
            case '{':
                return "an object";
            case '[':
                return "an array";
            case '"':
                return "string " + snippet(start, stop, MAX_SNIPPET);
            case 't':
            case 'f':
            case 'n':
                return ascii(start, stop);
            default:
                return "number " + snippet(start, stop, MAX_SNIPPET);
        }
    }

    /** The record's text, cut, and fit to be stored and shown anywhere. */
    private String snippet(int start, int stop, int max) {
        int some = Math.min(stop, start + 4 * max);
        String text = new String(buf, start, some - start, StandardCharsets.UTF_8);
        StringBuilder shown = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            shown.append(Character.isISOControl(c) ? '\uFFFD' : c);
        }
        return some < stop && shown.length() <= max ? shown + "…" : cut(shown.toString(), max);
    }

    private static String cut(String text, int max) {
        if (text.length() <= max) {
            return text;
        }
        int length = Character.isHighSurrogate(text.charAt(max - 2)) ? max - 2 : max - 1;
        return text.substring(0, length) + "…";
    }
}
