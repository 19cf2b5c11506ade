package citystream.records;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What a record becomes: its columns, or a reason, and always one row. */
class RecordJsonTest {
    private static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("id", DataTypes.STRING()),
                    DataTypes.FIELD("pay", DataTypes.INT()),
                    DataTypes.FIELD("total", DataTypes.BIGINT()),
                    DataTypes.FIELD("lat", DataTypes.DOUBLE()),
                    DataTypes.FIELD("open", DataTypes.BOOLEAN()),
                    DataTypes.FIELD("at", DataTypes.TIMESTAMP_LTZ(3)),
                    DataTypes.FIELD("note", DataTypes.STRING()))
            .getLogicalType();
    private static final int RAW = 7;
    private static final int ERROR = 8;
    private static final String AT = "2026-11-21T03:04:05.678Z";

    private static final RecordJsonDeserializationSchema SCHEMA = schema(COLUMNS, List.of("note"), 100);

    private static RecordJsonDeserializationSchema schema(RowType columns, List<String> optional, int maxStringBytes) {
        return new RecordJsonDeserializationSchema(
                columns, List.of("raw", "error"), optional, maxStringBytes, InternalTypeInfo.of(columns));
    }

    /** A good record with one field's text replaced. */
    private static String with(String field, String json) {
        return "{\"id\":" + (field.equals("id") ? json : "\"A1\"")
                + ",\"pay\":" + (field.equals("pay") ? json : "23000")
                + ",\"total\":" + (field.equals("total") ? json : "9000000000")
                + ",\"lat\":" + (field.equals("lat") ? json : "35.83")
                + ",\"open\":" + (field.equals("open") ? json : "true")
                + ",\"at\":" + (field.equals("at") ? json : "\"" + AT + "\"")
                + ",\"note\":" + (field.equals("note") ? json : "\"대구\"")
                + "}";
    }

    private static final String GOOD = with("", "");

    private static RowData decode(byte[] value) {
        RowData row = SCHEMA.deserialize(value);
        assertThat(row.getArity()).isEqualTo(9);
        if (value == null) {
            assertThat(row.isNullAt(RAW)).isTrue();
        } else {
            assertThat(row.getBinary(RAW)).isSameAs(value);
        }
        if (!row.isNullAt(ERROR)) {
            for (int i = 0; i < RAW; i++) {
                assertThat(row.isNullAt(i)).isTrue();
            }
        }
        return row;
    }

    private static RowData good(String json) {
        RowData row = decode(json.getBytes(UTF_8));
        assertThat(row.isNullAt(ERROR) ? null : row.getString(ERROR).toString()).isNull();
        return row;
    }

    private static String error(byte[] value) {
        RowData row = decode(value);
        assertThat(row.isNullAt(ERROR)).as("an error is expected").isFalse();
        String error = row.getString(ERROR).toString();
        assertThat(error).matches("(?s)[a-z0-9-]+: .+").hasSizeLessThanOrEqualTo(220);
        assertThat(error.chars().noneMatch(Character::isISOControl)).isTrue();
        return error;
    }

    private static byte[] bytes(Object... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (Object part : parts) {
            if (part instanceof Integer) {
                out.write((Integer) part);
            } else {
                out.writeBytes(((String) part).getBytes(UTF_8));
            }
        }
        return out.toByteArray();
    }

    @Test
    void aGoodRecordFillsItsColumns() {
        RowData row = good(GOOD);
        assertThat(row.getString(0)).hasToString("A1");
        assertThat(row.getInt(1)).isEqualTo(23000);
        assertThat(row.getLong(2)).isEqualTo(9_000_000_000L);
        assertThat(row.getDouble(3)).isEqualTo(35.83);
        assertThat(row.getBoolean(4)).isTrue();
        assertThat(row.getTimestamp(5, 3).toInstant()).isEqualTo(Instant.parse(AT));
        assertThat(row.getString(6)).hasToString("대구");
    }

    @Test
    void orderSpaceExtrasAndEscapesDoNotMatter() {
        RowData row = good(
                " \r\n{ \"note\" : null , \"extra\":{\"a\":[1,{\"b\":[]},\"x\",{}],\"id\":\"no\"},\"at\":\"" + AT
                        + "\"\t,\"op\\u0065n\":false,\"l\\u0061t\":-1.5E2,\"total\":-9223372036854775808,\"more\":[[],[{}]],"
                        + "\"pay\":-0,\"id\":\"\\ub300\\uad6c \\ud83c\\udf57\\n\\\"\\\\\\/\\b\\f\\r\\t\\u00e9\",\"x\":-0.5e+7} \n");
        assertThat(row.getString(0)).hasToString("대구 🍗\n\"\\/\b\f\r\té");
        assertThat(row.getInt(1)).isZero();
        assertThat(row.getLong(2)).isEqualTo(Long.MIN_VALUE);
        assertThat(row.getDouble(3)).isEqualTo(-150.0);
        assertThat(row.getBoolean(4)).isFalse();
        assertThat(row.isNullAt(6)).isTrue();
    }

    @Test
    void anOptionalFieldMayBeMissing() {
        assertThat(good(GOOD.replace(",\"note\":\"대구\"", "")).isNullAt(6)).isTrue();
    }

    static Stream<Arguments> numbers() {
        return Stream.of(
                Arguments.of("pay", "2147483647", 2147483647),
                Arguments.of("pay", "-2147483648", -2147483648),
                Arguments.of("total", "9223372036854775807", Long.MAX_VALUE),
                Arguments.of("total", "999999999999999999", 999999999999999999L),
                Arguments.of("lat", "5", 5.0),
                Arguments.of("lat", "-0", -0.0),
                Arguments.of("lat", "0.1", 0.1),
                Arguments.of("lat", "1.7976931348623157e308", Double.MAX_VALUE),
                Arguments.of("lat", "4.9e-324", Double.MIN_VALUE),
                Arguments.of("lat", "1e-9999999999", 0.0),
                Arguments.of("lat", "123456789012345678901234567890", 123456789012345678901234567890.0),
                Arguments.of("lat", "128.66543210987654", 128.66543210987654),
                Arguments.of("lat", "9007199254740993", 9007199254740993.0));
    }

    @ParameterizedTest
    @MethodSource("numbers")
    void numbersAreExact(String field, String json, Object expected) {
        RowData row = good(with(field, json));
        if (field.equals("lat")) {
            assertThat((Object) row.getDouble(3)).isEqualTo(expected);
        } else {
            assertThat(field.equals("pay") ? row.getInt(1) : row.getLong(2)).isEqualTo(((Number) expected).longValue());
        }
    }

    static Stream<Arguments> times() {
        return Stream.of(
                Arguments.of("2026-11-21T03:04:05.678Z", "2026-11-21T03:04:05.678Z"),
                Arguments.of("2026-11-21T03:04:05Z", "2026-11-21T03:04:05Z"),
                Arguments.of("2026-11-21T12:04:05.678901234+09:00", "2026-11-21T03:04:05.678Z"),
                Arguments.of("2026-11-21T03:04:05.6Z", "2026-11-21T03:04:05.600Z"),
                Arguments.of("2026-11-21T12:04:05+09:00", "2026-11-21T03:04:05Z"),
                Arguments.of("2026-11-21T12:04:05+0900", "2026-11-21T03:04:05Z"),
                Arguments.of("2026-11-21T12:04:05+09", "2026-11-21T03:04:05Z"),
                Arguments.of("2026-11-21T12:04:05.678+0900", "2026-11-21T03:04:05.678Z"),
                Arguments.of("2026-11-20T23:34:05.678-0330", "2026-11-21T03:04:05.678Z"),
                Arguments.of("2026-11-21t03:04:05.678z", "2026-11-21T03:04:05.678Z"),
                Arguments.of("2026-11-21T03:04:05-00:00", "2026-11-21T03:04:05Z"),
                Arguments.of("2026-11-21T21:04:05+18:00", "2026-11-21T03:04:05Z"),
                Arguments.of("2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z"),
                Arguments.of("2000-02-29T00:00:00.000Z", "2000-02-29T00:00:00Z"),
                Arguments.of("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
                Arguments.of("0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z"),
                Arguments.of("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"));
    }

    @ParameterizedTest
    @MethodSource("times")
    void timesAreUtc(String text, String expected) {
        assertThat(good(with("at", '"' + text + '"')).getTimestamp(5, 3).toInstant())
                .isEqualTo(Instant.parse(expected));
    }

    @Test
    void everyDayOfFourCenturiesIsTheLibrarysDay() {
        for (Instant day = Instant.parse("1799-12-31T12:00:00.001Z");
                day.isBefore(Instant.parse("2201-01-01T00:00:00Z"));
                day = day.plusSeconds(86_400)) {
            assertThat(good(with("at", '"' + day.toString() + '"'))
                            .getTimestamp(5, 3)
                            .toInstant())
                    .isEqualTo(day);
        }
    }

    static Stream<Arguments> bad() {
        return Stream.of(
                Arguments.of("null-value", null),
                Arguments.of("empty", bytes()),
                Arguments.of("empty", bytes(" \n\t")),
                Arguments.of("not-json", bytes("hello")),
                Arguments.of("not-json", bytes("<xml/>")),
                Arguments.of("not-json", bytes(GOOD.substring(0, GOOD.length() - 1))),
                Arguments.of("not-json", bytes(GOOD.substring(0, 20))),
                Arguments.of("not-json", bytes("{\"id\":\"", 0xEB, 0x8C)),
                Arguments.of("not-json", bytes(GOOD + "x")),
                Arguments.of("not-json", bytes(GOOD + GOOD)),
                Arguments.of("not-json", bytes(GOOD + ",")),
                Arguments.of("not-json", bytes("{")),
                Arguments.of("not-json", bytes("{,}")),
                Arguments.of("not-json", bytes("{\"id\"}")),
                Arguments.of("not-json", bytes("{\"id\":}")),
                Arguments.of("not-json", bytes("{\"id\":\"a\",}")),
                Arguments.of("not-json", bytes("{'id':'a'}")),
                Arguments.of("not-json", bytes("{id:1}")),
                Arguments.of("not-json", bytes("[1,2")),
                Arguments.of("not-json", bytes("[".repeat(100_000))),
                Arguments.of("not-json", bytes("{\"x\":" + "[".repeat(1000) + "]".repeat(999) + "}}")),
                Arguments.of("not-json", bytes(0xEF, 0xBB, 0xBF, GOOD)),
                Arguments.of("not-json", bytes(with("lat", "NaN"))),
                Arguments.of("not-json", bytes(with("lat", "Infinity"))),
                Arguments.of("not-json", bytes(with("lat", "-Infinity"))),
                Arguments.of("not-json", bytes(with("lat", "+1"))),
                Arguments.of("not-json", bytes(with("lat", ".5"))),
                Arguments.of("not-json", bytes(with("lat", "5."))),
                Arguments.of("not-json", bytes(with("lat", "1e"))),
                Arguments.of("not-json", bytes(with("lat", "0x10"))),
                Arguments.of("not-json", bytes(with("pay", "01"))),
                Arguments.of("not-json", bytes(with("pay", "-"))),
                Arguments.of("not-json", bytes(with("pay", "1 2"))),
                Arguments.of("not-json", bytes(with("open", "True"))),
                Arguments.of("not-json", bytes(with("open", "tru"))),
                Arguments.of("not-json", bytes(with("open", "trueish"))),
                Arguments.of("not-json", bytes(with("note", "nul"))),
                Arguments.of("not-json", bytes(with("note", "\"a\nb\""))),
                Arguments.of("not-json", bytes(with("note", "\"a\u0001b\""))),
                Arguments.of("not-json", bytes(with("note", "\"\\x\""))),
                Arguments.of("not-json", bytes(with("note", "\"\\u12g4\""))),
                Arguments.of("not-json", bytes(with("note", "\"\\u12\""))),
                Arguments.of("not-json", bytes(GOOD.replace("{", "{\"x\":NaN,"))),
                Arguments.of("not-json", bytes(GOOD.replace("{", "/* no */{"))),
                Arguments.of("not-an-object", bytes("[]")),
                Arguments.of("not-an-object", bytes("[" + GOOD + "]")),
                Arguments.of("not-an-object", bytes("\"text\"")),
                Arguments.of("not-an-object", bytes("5")),
                Arguments.of("not-an-object", bytes("null")),
                Arguments.of("not-an-object", bytes("true")),
                Arguments.of("not-an-object", bytes("[".repeat(100_000) + "]".repeat(100_000))),
                Arguments.of("missing-field: id", bytes("{}")),
                Arguments.of("missing-field: pay", bytes(GOOD.replace("\"pay\":23000,", ""))),
                Arguments.of("missing-field: pay", bytes(with("pay", "null"))),
                Arguments.of("missing-field: at", bytes(with("at", "null"))),
                Arguments.of("duplicate-field: pay", bytes(GOOD.replace("\"pay\"", "\"pay\":1,\"pay\""))),
                Arguments.of("duplicate-field: pay", bytes(GOOD.replace("\"pay\"", "\"\\u0070ay\":1,\"pay\""))),
                Arguments.of("wrong-type: id", bytes(with("id", "5"))),
                Arguments.of("wrong-type: id", bytes(with("id", "{\"a\":1}"))),
                Arguments.of("wrong-type: pay", bytes(with("pay", "\"5\""))),
                Arguments.of("wrong-type: pay", bytes(with("pay", "5.0"))),
                Arguments.of("wrong-type: pay", bytes(with("pay", "1e3"))),
                Arguments.of("wrong-type: pay", bytes(with("pay", "true"))),
                Arguments.of("wrong-type: pay", bytes(with("pay", "[5]"))),
                Arguments.of("wrong-type: lat", bytes(with("lat", "\"NaN\""))),
                Arguments.of("wrong-type: lat", bytes(with("lat", "\"35.83\""))),
                Arguments.of("wrong-type: open", bytes(with("open", "1"))),
                Arguments.of("wrong-type: open", bytes(with("open", "\"true\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "1700000000000"))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"yesterday\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21 03:04:05Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T12:04:05+09:\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T12:04:05+090\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T12:04:05+09:00:00\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T12:04:05+9:00\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T12:04:05+0960\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T23:04:05+19:00\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05,678Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05.0123456789Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"２０２６-11-21T03:04:05Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"20261121T030405Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05Z \""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04+09:00\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05.Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21 03:04:05.678Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-02-29T03:04:05.678Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-13-01T03:04:05.678Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-31T03:04:05.678Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T24:00:00.000Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T23:60:00.000Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T23:59:60.000Z\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"2026-11-21T03:04:05.67xZ\""))),
                Arguments.of("wrong-type: at", bytes(with("at", "\"20x6-11-21T03:04:05.678Z\""))),
                Arguments.of("out-of-range: at", bytes(with("at", "\"0000-12-31T23:59:59.999Z\""))),
                Arguments.of("out-of-range: at", bytes(with("at", "\"10000-01-01T00:00:00.000Z\""))),
                Arguments.of("out-of-range: at", bytes(with("at", "\"+12026-01-01T00:00:00.000Z\""))),
                Arguments.of("out-of-range: at", bytes(with("at", "\"-0044-03-15T00:00:00.000Z\""))),
                Arguments.of("out-of-range: at", bytes(with("at", "\"9999-12-31T23:59:59-01:00\""))),
                Arguments.of("out-of-range: pay", bytes(with("pay", "2147483648"))),
                Arguments.of("out-of-range: pay", bytes(with("pay", "-2147483649"))),
                Arguments.of("out-of-range: pay", bytes(with("pay", "99999999999999999999999999"))),
                Arguments.of("out-of-range: pay", bytes(with("pay", "9".repeat(5000)))),
                Arguments.of("out-of-range: total", bytes(with("total", "9223372036854775808"))),
                Arguments.of("out-of-range: total", bytes(with("total", "-9223372036854775809"))),
                Arguments.of("out-of-range: total", bytes(with("total", "18446744073709551617"))),
                Arguments.of("out-of-range: total", bytes(with("total", "9999999999999999999"))),
                Arguments.of("out-of-range: lat", bytes(with("lat", "1e309"))),
                Arguments.of("out-of-range: lat", bytes(with("lat", "-1e99999999999"))),
                Arguments.of("nul-byte", bytes(with("note", "\"a\\u0000b\""))),
                Arguments.of("nul-byte", bytes(with("note", "\"a\u0000b\""))),
                Arguments.of("nul-byte", bytes(GOOD.replace("{", "{\"x\":[\"\\u0000\"],"))),
                Arguments.of("nul-byte", bytes(GOOD.replace("{", "{\"x\\u0000\":1,"))),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xFF, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0x80, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xC0, 0x80, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xC1, 0xBF, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xE0, 0x9F, 0xBF, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xED, 0xA0, 0x80, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xF0, 0x8F, 0xBF, 0xBF, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xF4, 0x90, 0x80, 0x80, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xF5, 0x80, 0x80, 0x80, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"id\":\"", 0xEB, 0x8C, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"x\":\"", 0xEB, "\"}")),
                Arguments.of("invalid-utf8", bytes("{\"", 0xEB, "\":1}")),
                Arguments.of("invalid-utf8", bytes(0xFF, 0xFE, "{")),
                Arguments.of("invalid-utf8", bytes(with("note", "\"\\ud800\""))),
                Arguments.of("invalid-utf8", bytes(with("note", "\"\\udc00x\""))),
                Arguments.of("invalid-utf8", bytes(with("note", "\"\\ud800\\u0041\""))),
                Arguments.of("invalid-utf8", bytes(with("note", "\"\\ud800\\ud800\\udc00\""))),
                Arguments.of("too-long: note", bytes(with("note", "\"" + "x".repeat(101) + "\""))),
                Arguments.of("too-long: note", bytes(with("note", "\"" + "구".repeat(34) + "\""))),
                Arguments.of("too-long: note", bytes(with("note", "\"" + "\\ub300".repeat(34) + "\""))),
                Arguments.of("too-long: note", bytes(with("note", "\"" + "x".repeat(1 << 20) + "\""))),
                // Not JSON is said first, whatever was wrong before
                Arguments.of("not-json", bytes("{\"id\":5,\"pay\":\"5\"")),
                Arguments.of("wrong-type: id", bytes("{\"id\":5,\"pay\":\"5\"}")));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void whatIsWrongIsSaid(String reason, byte[] value) {
        assertThat(error(value))
                .startsWith(reason.contains(":") ? reason + (reason.contains(" ") ? "" : ": ") : reason + ": ");
        // and the next record is none the worse for it
        good(GOOD);
    }

    @Test
    void whatFitsIsNotTooLong() {
        assertThat(good(with("note", "\"" + "x".repeat(100) + "\""))
                        .getString(6)
                        .toString())
                .hasSize(100);
        assertThat(good(with("note", "\"" + "\\ub300".repeat(33) + "\""))
                        .getString(6)
                        .toString())
                .hasSize(33);
    }

    @Test
    void aMegabyteOfExtrasIsSkipped() {
        good(GOOD.replace("{", "{\"x\":\"" + "대".repeat(350_000) + "\","));
        good(GOOD.replace("{", "{\"x\":" + "{\"a\":[".repeat(100_000) + "]}".repeat(100_000) + ","));
    }

    @Test
    void everyTruncationIsSaid() {
        byte[] whole = GOOD.getBytes(UTF_8);
        for (int i = 1; i < whole.length; i++) {
            assertThat(error(java.util.Arrays.copyOf(whole, i))).startsWith("not-json: ends at byte " + i);
        }
    }

    @Test
    void theDetailIsShortAndClean() {
        assertThat(error(bytes(with("pay", "\"" + "\\n\u007f가".repeat(1000) + "\""))))
                .hasSizeLessThan(120);
        assertThat(error(bytes(with("pay", "\"5\"")))).isEqualTo("wrong-type: pay: expected INT, found string \"5\"");
        assertThat(error(bytes(with("at", "\"soon\""))))
                .isEqualTo("wrong-type: at: expected TIMESTAMP_LTZ(3), found string \"soon\"");
        assertThat(error(bytes(with("pay", "2147483648"))))
                .isEqualTo("out-of-range: pay: number 2147483648 is out of range for INT");
    }

    @Test
    void datesDecimalsAndManyColumns() {
        RowType columns = (RowType) DataTypes.ROW(
                        DataTypes.FIELD("day", DataTypes.DATE()),
                        DataTypes.FIELD("co2", DataTypes.DECIMAL(10, 2)),
                        DataTypes.FIELD("\"q\\", DataTypes.TIMESTAMP_LTZ(6)))
                .getLogicalType();
        RecordJsonDeserializationSchema schema = schema(columns, List.of(), 100);
        RowData row = schema.deserialize(
                bytes("{\"day\":\"2026-11-21\",\"co2\":1.5e3,\"\\\"q\\\\\":\"2026-11-21T03:04:05.678901234Z\"}"));
        assertThat(row.isNullAt(4)).isTrue();
        assertThat(row.getInt(0))
                .isEqualTo((int) java.time.LocalDate.parse("2026-11-21").toEpochDay());
        assertThat(row.getDecimal(1, 10, 2)).hasToString("1500.00");
        assertThat(row.getTimestamp(2, 6).toInstant()).isEqualTo(Instant.parse("2026-11-21T03:04:05.678901Z"));
        for (String number : List.of("1.005", "123456789.1", "1e999999999", "1e-999999999", "1e99999999999")) {
            assertThat(schema.deserialize(bytes("{\"day\":\"2026-11-21\",\"co2\":" + number + "}"))
                            .getString(4)
                            .toString())
                    .startsWith("out-of-range: co2");
        }
        assertThat(schema.deserialize(bytes("{\"day\":\"2026-11-31\"}"))
                        .getString(4)
                        .toString())
                .startsWith("wrong-type: day");
        assertThat(schema.deserialize(bytes("{\"day\":\"10000-01-01\"}"))
                        .getString(4)
                        .toString())
                .startsWith("out-of-range: day");
    }

    @Test
    void aColumnOfAnotherTypeIsRefusedAtOnce() {
        RowType columns = (RowType) DataTypes.ROW(DataTypes.FIELD("a", DataTypes.ARRAY(DataTypes.INT())))
                .getLogicalType();
        assertThatThrownBy(() -> schema(columns, List.of(), 100))
                .isInstanceOf(ValidationException.class)
                .hasMessageContaining("Column a is ARRAY<INT>");
    }

    @Test
    void bytesColumnIsTheJsonOfAnyValueAsItStands() {
        RowType columns = (RowType)
                DataTypes.ROW(DataTypes.FIELD("x", DataTypes.BYTES()), DataTypes.FIELD("cells", DataTypes.BYTES()))
                        .getLogicalType();
        RecordJsonDeserializationSchema schema = schema(columns, List.of("x"), 40);
        for (String json : List.of(
                "1.50",
                "\"12\\u0041 구\"",
                "[1, {\"a\" : null}]",
                "{\"number\": 1, \"format\": \"0.0\"}",
                "true",
                "-0")) {
            RowData row = schema.deserialize(("{\"cells\": " + json + " ,\"x\":" + json + "}").getBytes(UTF_8));
            assertThat(row.getBinary(0)).isEqualTo(json.getBytes(UTF_8));
            assertThat(row.getBinary(1)).isEqualTo(json.getBytes(UTF_8));
            assertThat(row.isNullAt(3)).isTrue();
        }
        RowData without = schema.deserialize("{\"x\":null,\"cells\":[]}".getBytes(UTF_8));
        assertThat(without.isNullAt(0)).isTrue();
        assertThat(bytesError(schema, "{\"x\":1,\"cells\":null}")).isEqualTo("missing-field: cells is null");
        assertThat(bytesError(schema, "{\"cells\":[\"a\\u0000\"]}")).startsWith("nul-byte: ");
        assertThat(bytesError(schema, "{\"cells\":[\"" + "a".repeat(40) + "\"]}"))
                .isEqualTo("too-long: cells: 44 bytes, at most 40");
        assertThat(bytesError(schema, "{\"cells\":[1,]}")).startsWith("not-json: ");
    }

    private static String bytesError(RecordJsonDeserializationSchema schema, String json) {
        return schema.deserialize(json.getBytes(UTF_8)).getString(3).toString();
    }
}
