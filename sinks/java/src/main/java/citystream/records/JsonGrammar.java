package citystream.records;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The grammar of JSON (RFC 8259, strictly) over the bytes of one record, and what is wrong with it: the half of
 * {@link RecordJsonParser} that knows no columns. It reads on in place; nothing is copied unless a string has escapes.
 */
abstract class JsonGrammar {
    private static final int MAX_DETAIL = 200;
    private static final int MAX_SNIPPET = 40;

    /** The way out of a record that is no JSON, or no UTF-8; {@link #problem} says why. */
    static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1L;
        static final Malformed INSTANCE = new Malformed();

        private Malformed() {
            super(null, null, false, false);
        }
    }

    // The record
    byte[] buf;
    int pos;
    int end;
    String problem;
    private long[] nesting = new long[1];

    // The string read last: its bytes in the record, without quotes
    int from;
    int to;
    boolean escaped;

    // The number read last
    boolean negative;
    boolean integral;
    long mantissa;
    int digits;
    int exponent;

    void endOfRecord() {
        skipSpace();
        if (pos < end) {
            throw expected("the end");
        }
    }

    /** A field's name, checked, and its colon; stops at its value. */
    void fieldName() {
        if (pos >= end || buf[pos] != '"') {
            throw expected("a field's name in quotes");
        }
        string();
        colon();
    }

    void colon() {
        skipSpace();
        if (pos >= end || buf[pos] != ':') {
            throw expected("':'");
        }
        pos++;
        skipSpace();
    }

    String text() {
        string();
        return escaped
                ? new String(unescape(), StandardCharsets.UTF_8)
                : new String(buf, from, to - from, StandardCharsets.UTF_8);
    }

    String ascii(int start, int stop) {
        return new String(buf, start, stop - start, StandardCharsets.ISO_8859_1);
    }

    void skipSpace() {
        byte[] b = buf;
        int p = pos;
        while (p < end && (b[p] == ' ' || b[p] == '\n' || b[p] == '\r' || b[p] == '\t')) {
            p++;
        }
        pos = p;
    }

    /** Any value, checked; not by recursion, so that no nesting is too deep. */
    void skipValue() {
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
                        fieldName();
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
                        fieldName();
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

    void literal(String word) {
        for (int i = 0; i < word.length(); i++, pos++) {
            if (pos >= end || buf[pos] != word.charAt(i)) {
                throw expected(word);
            }
        }
    }

    static boolean isNumber(int c) {
        return c == '-' || c >= '0' && c <= '9';
    }

    void number() {
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
    void string() {
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
                    problem(
                            "invalid-utf8",
                            String.format("a lone surrogate \\u%04X as an escape, at byte %d", unit, p));
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

    static boolean isSurrogate(int unit) {
        return unit >= 0xD800 && unit <= 0xDFFF;
    }

    /** The string read last, which has been checked, without its escapes. */
    byte[] unescape() {
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
    void problem(String reason, String detail) {
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
    Malformed expected(String what) {
        if (pos >= end) {
            return fail("not-json", "ends at byte " + end + " where " + what + " was expected (truncated?)");
        }
        if (buf[pos] < 0) {
            character(pos);
        }
        return fail("not-json", "expected " + what + " at byte " + pos + ", found " + snippet(pos, end, 12));
    }

    String describe(int start, int stop) {
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
