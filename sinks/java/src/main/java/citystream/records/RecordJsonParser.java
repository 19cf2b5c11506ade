package citystream.records;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * Reads a JSON object (RFC 8259, strictly) into a row in one pass over its bytes, and says what is wrong instead of
 * throwing.
 *
 * <p>A string without escapes is not copied: the column points into the record. A field is first compared with the one
 * that follows the last (producers keep their order), then looked up.
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
final class RecordJsonParser extends JsonColumns {
    // The columns
    private final int columns;
    private final byte[][] nameBytes;
    private final boolean[] plainName;
    private final int[] lookup;

    // The record
    private long record;
    private final long[] seenIn;

    RecordJsonParser(String[] names, LogicalType[] types, boolean[] optional, int maxStringBytes) {
        super(names, types, optional, maxStringBytes);
        this.columns = names.length;
        this.nameBytes = new byte[columns][];
        this.plainName = new boolean[columns];
        this.seenIn = new long[columns];
        this.lookup = new int[Math.max(4, Integer.highestOneBit(columns) * 4)];
        Arrays.fill(lookup, -1);
        for (int i = 0; i < columns; i++) {
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

    /** Fills the row's first columns and returns null, or leaves them null and returns what is wrong. */
    String parse(byte[] value, GenericRowData row) {
        if (value == null) {
            return "null-value: the record has no value (a tombstone)";
        }
        buf = value;
        pos = 0;
        end = value.length;
        forgetSegments();
        problem = null;
        record++;
        try {
            record(row);
        } catch (Malformed e) {
            // problem says it
        }
        buf = null;
        forgetSegments();
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
}
