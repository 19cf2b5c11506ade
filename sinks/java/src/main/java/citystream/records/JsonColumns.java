package citystream.records;

import java.math.BigDecimal;
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
 * Reads a JSON value into a column of a row, and notes what is wrong with it: {@code wrong-type}, {@code out-of-range},
 * {@code too-long}, {@code missing-field} for a null.
 *
 * <p>A string without escapes is not copied: the column points into the record. A BYTES column takes a value of any
 * type, as the JSON that stands there.
 */
abstract class JsonColumns extends JsonGrammar {
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

    final String[] names;
    final boolean[] optional;
    private final int[] kinds;
    private final LogicalType[] types;
    private final int maxStringBytes;
    private MemorySegment[] segments;

    JsonColumns(String[] names, LogicalType[] types, boolean[] optional, int maxStringBytes) {
        this.names = names;
        this.types = types;
        this.optional = optional;
        this.maxStringBytes = maxStringBytes;
        this.kinds = new int[names.length];
        for (int i = 0; i < kinds.length; i++) {
            kinds[i] = kind(names[i], types[i]);
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

    /** To be called before the first and after the last value of a record. */
    final void forgetSegments() {
        segments = null;
    }

    /** The value that begins here, as that of a column. */
    final void value(GenericRowData row, int column) {
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
