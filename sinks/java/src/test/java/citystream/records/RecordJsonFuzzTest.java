package citystream.records;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamReadConstraints;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

/**
 * Jackson and the JDK's UTF-8 decoder as the judges of what is JSON, and of what it says. Where Jackson is lenient
 * (bytes that are no UTF-8, a byte order mark), the JDK decides.
 */
class RecordJsonFuzzTest {
    private static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("s", DataTypes.STRING()),
                    DataTypes.FIELD("i", DataTypes.INT()),
                    DataTypes.FIELD("l", DataTypes.BIGINT()),
                    DataTypes.FIELD("d", DataTypes.DOUBLE()),
                    DataTypes.FIELD("b", DataTypes.BOOLEAN()))
            .getLogicalType();
    private static final List<String> NAMES = COLUMNS.getFieldNames();
    private static final int ERROR = 6;

    private final RecordJsonDeserializationSchema schema = new RecordJsonDeserializationSchema(
            COLUMNS, List.of("raw", "error"), NAMES, 1_000_000, InternalTypeInfo.of(COLUMNS));
    private final JsonFactory factory = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNumberLength(1_000_000)
                    .maxNestingDepth(1_000_000)
                    .build())
            .build();
    private final ObjectMapper mapper = new ObjectMapper(factory);

    /** The reason by the judges: not-json and invalid-utf8 are one, as they differ in which they see first. */
    private String judge(byte[] value) throws IOException {
        String text;
        try {
            text = UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
        } catch (CharacterCodingException e) {
            return "malformed";
        }
        if (text.isBlank() && text.chars().allMatch(c -> " \t\r\n".indexOf(c) >= 0)) {
            return "empty";
        }
        if (WRONG_HEX.matcher(text).find()) {
            return "malformed";
        }
        Set<String> names = new HashSet<>();
        repeated = false;
        boolean nul = false;
        boolean lone = false;
        try (JsonParser parser = factory.createParser(text)) {
            int depth = 0;
            int roots = 0;
            for (JsonToken token; (token = parser.nextToken()) != null; ) {
                if (depth == 0 && roots++ > 0) {
                    return "malformed";
                }
                if (token.isStructStart()) {
                    depth++;
                } else if (token.isStructEnd()) {
                    depth--;
                } else if (token == JsonToken.FIELD_NAME || token == JsonToken.VALUE_STRING) {
                    if (token == JsonToken.FIELD_NAME && depth == 0) {
                        return "malformed";
                    }
                    String string = parser.getText();
                    if (token == JsonToken.FIELD_NAME && depth == 1 && NAMES.contains(string)) {
                        repeated |= !names.add(string);
                    }
                    nul |= string.indexOf('\0') >= 0;
                    lone |= !UTF_8.newEncoder().canEncode(string);
                }
            }
        } catch (IOException e) {
            return "malformed";
        }
        return nul || lone ? "string" : text.strip().startsWith("{") ? "object" : "not-an-object";
    }

    private void check(byte[] value) throws IOException {
        RowData row = schema.deserialize(value);
        String error = row.isNullAt(ERROR) ? null : row.getString(ERROR).toString();
        String reason = error == null ? null : error.substring(0, error.indexOf(": "));
        String judged = judge(value);
        Supplier<String> as =
                () -> error + " / " + judged + " / " + Base64.getEncoder().encodeToString(value);
        switch (judged) {
            case "malformed":
                // A raw NUL is told as such where all else is right.
                assertThat(reason).as(as).isIn("not-json", "invalid-utf8", "nul-byte");
                if ("nul-byte".equals(reason)) {
                    assertThat(new String(value, UTF_8)).as(as).contains("\0");
                }
                break;
            case "string":
                // Or whatever was wrong with a column before
                assertThat(reason)
                        .as(as)
                        .isIn(
                                "nul-byte",
                                "invalid-utf8",
                                "wrong-type",
                                "out-of-range",
                                "duplicate-field",
                                "not-an-object");
                break;
            case "object":
                assertThat(reason).as(as).isIn(null, "wrong-type", "out-of-range", "duplicate-field");
                if (repeated) {
                    assertThat(reason).as(as).isNotNull();
                    break;
                }
                assertThat(reason).as(as).isNotEqualTo("duplicate-field");
                compare(row, reason, mapper.readTree(new String(value, UTF_8)), as);
                break;
            default:
                assertThat(reason).as(as).isEqualTo(judged);
        }
    }

    private static void compare(RowData row, String reason, JsonNode tree, Supplier<String> as) {
        boolean typesRight = true;
        for (int i = 0; i < NAMES.size(); i++) {
            JsonNode node = tree.get(NAMES.get(i));
            if (node == null || node.isNull()) {
                assertThat(row.isNullAt(i)).as(as).isTrue();
                continue;
            }
            boolean right =
                    switch (i) {
                        case 0 -> node.isTextual();
                        case 1 -> node.isIntegralNumber() && node.canConvertToInt();
                        case 2 -> node.isIntegralNumber() && node.canConvertToLong();
                        case 3 -> node.isNumber() && Double.isFinite(node.doubleValue());
                        default -> node.isBoolean();
                    };
            typesRight &= right;
            if (reason == null) {
                assertThat(right).as(as).isTrue();
                Object found =
                        switch (i) {
                            case 0 -> (Object) row.getString(0).toString();
                            case 1 -> (Object) row.getInt(1);
                            case 2 -> (Object) row.getLong(2);
                            case 3 -> (Object) row.getDouble(3);
                            default -> (Object) row.getBoolean(4);
                        };
                Object expected =
                        switch (i) {
                            case 0 -> node.textValue();
                            case 1 -> (Object) node.intValue();
                            case 2 -> (Object) node.longValue();
                            case 3 -> (Object)
                                    (node.isIntegralNumber() ? Double.parseDouble(node.asText()) : node.doubleValue());
                            default -> (Object) node.booleanValue();
                        };
                // Adding 0 makes -0 one with 0: Jackson's integer 0 has no sign.
                assertThat(i == 3 ? (Object) ((double) found + 0.0) : found)
                        .as(as)
                        .isEqualTo(i == 3 ? (Object) ((double) expected + 0.0) : expected);
            }
        }
        assertThat(reason == null).as(as).isEqualTo(typesRight);
    }

    /** Jackson takes ȸ for an 8 in an escape. */
    private static final Pattern WRONG_HEX =
            Pattern.compile("(?<!\\\\)(?:\\\\\\\\)*\\\\u[0-9a-fA-F]{0,3}[^\\x00-\\x7f]");

    private boolean repeated;

    private final Random random = new Random(20261121);

    private String number() {
        switch (random.nextInt(8)) {
            case 0:
                return Integer.toString(random.nextInt());
            case 1:
                return Long.toString(random.nextLong());
            case 2:
                return Double.toString(Double.longBitsToDouble(random.nextLong()));
            case 3:
                return (random.nextBoolean() ? "-" : "") + random.nextInt(200) + "." + random.nextInt(1_000_000);
            case 4:
                return random.nextInt(100) + "e" + (random.nextInt(700) - 350);
            case 5:
                return random.nextInt(10) + "" + Long.toUnsignedString(random.nextLong()) + random.nextInt(1000);
            case 6:
                return List.of(
                                "0", "-0", "00", "01", "-", "1.", ".5", "1e", "1e+", "1E-2", "0.0", "-0.0e0", "+1",
                                "NaN")
                        .get(random.nextInt(14));
            default:
                return Integer.toString(random.nextInt(100_000));
        }
    }

    private String string() {
        StringBuilder text = new StringBuilder("\"");
        for (int n = random.nextInt(12); n > 0; n--) {
            switch (random.nextInt(9)) {
                case 0:
                    text.append("치킨");
                    break;
                case 1:
                    text.append("🍗");
                    break;
                case 2:
                    text.append("\\").append("\"\\/bfnrtux0 ".charAt(random.nextInt(12)));
                    break;
                case 3:
                    text.append(String.format("\\u%04x", random.nextInt(0x10000)));
                    break;
                case 4:
                    text.append(String.format("\\uD8%02X\\udc%02x", random.nextInt(256), random.nextInt(256)));
                    break;
                case 5:
                    int c = random.nextInt(0x300);
                    text.appendCodePoint(c == '"' || c == '\\' || c < 0x20 ? 'é' : c);
                    break;
                default:
                    text.append((char) ('a' + random.nextInt(26)));
            }
        }
        return text.append('"').toString();
    }

    private String value(int depth) {
        switch (random.nextInt(depth > 3 ? 7 : 9)) {
            case 0:
            case 1:
                return string();
            case 2:
            case 3:
                return number();
            case 4:
                return "true";
            case 5:
                return "false";
            case 6:
                return "null";
            case 7:
                StringBuilder array = new StringBuilder("[");
                for (int n = random.nextInt(4); n > 0; n--) {
                    array.append(value(depth + 1)).append(n > 1 ? " , " : "");
                }
                return array.append(']').toString();
            default:
                return object(depth + 1, false);
        }
    }

    private String object(int depth, boolean columns) {
        StringBuilder object = new StringBuilder(" {".substring(random.nextInt(2)));
        int start = random.nextInt(3) == 0 ? random.nextInt(NAMES.size()) : 0;
        int fields = columns ? NAMES.size() : random.nextInt(4);
        for (int n = 0; n < fields; n++) {
            int column = (start + n) % NAMES.size();
            boolean known = columns && random.nextInt(10) > 0;
            object.append(n > 0 ? "," : "")
                    .append(known ? '"' + NAMES.get(column) + '"' : string())
                    .append(random.nextInt(9) > 0 ? ":" : " :\t");
            if (known && random.nextInt(12) > 0) {
                switch (column) {
                    case 0:
                        object.append(string());
                        break;
                    case 1:
                        object.append(random.nextInt());
                        break;
                    case 2:
                        object.append(random.nextLong());
                        break;
                    case 3:
                        object.append(random.nextInt(180)).append('.').append(random.nextInt(1_000_000_000));
                        break;
                    default:
                        object.append(random.nextBoolean());
                }
            } else {
                object.append(value(depth));
            }
        }
        return object.append('}').toString();
    }

    @Test
    void generatedRecordsAreWhatJacksonSays() throws IOException {
        for (int i = 0; i < 30_000; i++) {
            check((random.nextInt(20) == 0 ? value(0) : object(0, true)).getBytes(UTF_8));
        }
    }

    @Test
    void mutatedRecordsAreWhatJacksonSays() throws IOException {
        byte[] tokens = "{}[]\",:\\/u0019eE+-. tfn\n\0".getBytes(UTF_8);
        for (int i = 0; i < 60_000; i++) {
            byte[] value = object(0, true).getBytes(UTF_8);
            for (int n = 1 + random.nextInt(2); n > 0 && value.length > 0; n--) {
                int at = random.nextInt(value.length);
                switch (random.nextInt(5)) {
                    case 0:
                        value[at] = (byte) random.nextInt(256);
                        break;
                    case 1:
                        value[at] = tokens[random.nextInt(tokens.length)];
                        break;
                    case 2:
                        value = java.util.Arrays.copyOf(value, at);
                        break;
                    case 3:
                        byte[] shorter = new byte[value.length - 1];
                        System.arraycopy(value, 0, shorter, 0, at);
                        System.arraycopy(value, at + 1, shorter, at, shorter.length - at);
                        value = shorter;
                        break;
                    default:
                        byte[] longer = new byte[value.length + 1];
                        System.arraycopy(value, 0, longer, 0, at);
                        longer[at] = random.nextBoolean()
                                ? (byte) random.nextInt(256)
                                : tokens[random.nextInt(tokens.length)];
                        System.arraycopy(value, at, longer, at + 1, value.length - at);
                        value = longer;
                }
            }
            check(value);
        }
    }

    @Test
    void everySequenceOfUpToFourBytesOfAKindIsJudgedAsTheJdkDoes() throws IOException {
        int[] interesting = {
            0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF
        };
        byte[] value = "{\"s\":\"....\"}".getBytes(UTF_8);
        for (int a : interesting) {
            for (int b : interesting) {
                for (int c : interesting) {
                    for (int d : interesting) {
                        value[6] = (byte) a;
                        value[7] = (byte) b;
                        value[8] = (byte) c;
                        value[9] = (byte) d;
                        check(value);
                    }
                }
            }
        }
    }
}
