package citystream.records;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
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
 * that follows the last (producers keep their order), then looked up. A BYTES column takes a value of any type, as the
 * JSON that stands there.
 *
 * <p>The reasons, each followed by {@code ": "} and a detail of at most 200 characters that names the field and what
 * was found:
 *
 * <ul>
 *   <li>{@code null-value}: no value at all, a tombstone; {@code empty}: nothing but whitespace
 *   <li>{@code not-json}: whatever breaks the grammar: truncated (also in the middle of a character), NaN, text after
 *       the end, a raw control character
 *   <li>{@code invalid-utf8}: overlong, surrogate, cut or stray bytes; a lone surrogate as an escape
 *   <li>{@code nul-byte}: U+0000 in any string, raw or escaped
 *   <li>{@code not-an-object}: valid JSON, but an array, a string, ...
 *   <li>{@code missing-field}: a required field is absent or null; {@code duplicate-field}: a column's field is there
 *       twice
 *   <li>{@code wrong-type}: {@code "5"}, {@code 5.0}, {@code 5e0} and {@code true} are no INT; text that is no time,
 *       see {@link Times}
 *   <li>{@code out-of-range}: a number its type can't hold; a time before the year 1 or after 9999 in UTC
 *   <li>{@code too-long}: a string column's limit in bytes of UTF-8, which is that of a BYTES column too
 * </ul>
 *
 * <p>A record that isn't JSON or UTF-8 (or has a raw NUL in a string) says so, whatever else is wrong before; otherwise
 * the first thing wrong is reported. Fields that are no column are skipped, but must be valid.
 *
 * <p>Not thread-safe; keeps nothing between records.
 */
final class RecordJsonParser extends JsonGrammar {
    private static final int STRING = 0;
    private static final int INT = 1;
    private static final int BIGINT = 2;
    private static final int DOUBLE = 3;
    private static final int BOOLEAN = 4;
    private static final int TIMESTAMP = 5;
    private static final int DATE = 6;
    private static final int DECIMAL = 7;
    private static final int VERBATIM = 8;

    private static final int MAX_DECIMAL_CHARS = 1000;

    private static final long MIN_MILLIS = -62_135_596_800_000L; // 0001-01-01T00:00:00Z
    private static final long MAX_MILLIS = 253_402_300_799_999L; // 9999-12-31T23:59:59.999Z

    /** Powers of ten that a double holds exactly. */
    private static final double[] EXACT_TENS = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22
    };

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
    private MemorySegment[] segments;
    private long record;
    private final long[] seenIn;

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
            case VARBINARY:
                return VERBATIM;
            default:
                throw new ValidationException(
                        "Column " + name + " is " + type + "; record-json reads STRING, INT, BIGINT, DOUBLE, BOOLEAN,"
                                + " TIMESTAMP_LTZ, DATE, DECIMAL and BYTES");
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

    /** A field's name and its colon; stops at its value. Returns its column, or -1. */
    private int name(int next) {
        int at = pos;
        byte[] likely = next < columns ? nameBytes[next] : null;
        if (likely != null
                && at + likely.length + 1 < end
                && buf[at + likely.length + 1] == '"'
                && buf[at] == '"'
                && plainName[next]
                && Arrays.equals(buf, at + 1, at + 1 + likely.length, likely, 0, likely.length)) {
            pos = at + likely.length + 2;
            colon();
            return next;
        }
        if (at >= end || buf[at] != '"') {
            throw expected("a field's name in quotes");
        }
        string();
        int column;
        if (escaped) {
            byte[] name = unescape();
            column = find(name, 0, name.length);
        } else {
            column = find(buf, from, to);
        }
        colon();
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
            case VERBATIM:
                skipValue();
                if (fits(column, pos - start)) {
                    row.setField(column, Arrays.copyOfRange(buf, start, pos));
                }
                return;
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

    /** The form that producers here write is read in place, all others as text. */
    private void timestampColumn(GenericRowData row, int column, int start) {
        if (start + 25 < end && buf[start + 25] == '"') {
            long millis = Times.utcMillis(buf, start + 1);
            if (millis != Times.NONE) {
                pos = start + 26;
                setTimestamp(row, column, millis, 0);
                return;
            }
        }
        OffsetDateTime time = Times.dateTime(text());
        if (time == null) {
            wrongType(column, start);
            return;
        }
        long millis = time.toEpochSecond() * 1000 + time.getNano() / 1_000_000;
        if (millis < MIN_MILLIS || millis > MAX_MILLIS) {
            outOfRange(column, start);
            return;
        }
        setTimestamp(row, column, millis, time.getNano() % 1_000_000);
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

    private void dateColumn(GenericRowData row, int column, int start) {
        LocalDate date = Times.date(text());
        if (date == null) {
            wrongType(column, start);
        } else if (date.getYear() < 1 || date.getYear() > 9999) {
            outOfRange(column, start);
        } else {
            row.setField(column, (int) date.toEpochDay());
        }
    }

    // What is wrong

    private void wrongType(int column, int start) {
        problem("wrong-type", names[column] + ": expected " + typeName(column) + ", found " + describe(start, pos));
    }

    private void outOfRange(int column, int start) {
        problem(
                "out-of-range",
                names[column] + ": " + describe(start, pos) + " is out of range for " + typeName(column));
    }

    private String typeName(int column) {
        return types[column].is(LogicalTypeRoot.VARCHAR)
                ? "STRING"
                : types[column].copy(true).asSummaryString();
    }
}
