package citystream.elasticsearch;

import static org.apache.flink.table.api.DataTypes.BIGINT;
import static org.apache.flink.table.api.DataTypes.BOOLEAN;
import static org.apache.flink.table.api.DataTypes.DECIMAL;
import static org.apache.flink.table.api.DataTypes.DOUBLE;
import static org.apache.flink.table.api.DataTypes.FIELD;
import static org.apache.flink.table.api.DataTypes.MAP;
import static org.apache.flink.table.api.DataTypes.ROW;
import static org.apache.flink.table.api.DataTypes.STRING;
import static org.apache.flink.table.api.DataTypes.TIMESTAMP;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

class DocumentConverterTest {

    private static Document convert(DataType type, RowData row) {
        return new DocumentConverter((RowType) type.getLogicalType()).apply(row, null);
    }

    private static String body(DataType type, RowData row) {
        return new String(convert(type, row).body(), StandardCharsets.UTF_8);
    }

    @Test
    void anOrder() {
        assertThat(body(Rows.TYPE, Rows.order("a", 3)))
                .isEqualTo("{\"order_id\":\"a\","
                        + "\"ordered_at\":\"2026-11-21T03:05:42.000Z\",\"day\":\"2026-11-21\",\"store_id\":97,"
                        + "\"store_name\":\"맛있는 치킨 97호점\",\"category\":\"chicken\",\"menu\":\"양념치킨\",\"pay\":21000,"
                        + "\"delivery_charge\":3000,\"payment_method\":\"card\",\"region\":\"27110\","
                        + "\"address\":\"대구광역시 중구 동성로 97\",\"location\":[128.697,35.87]}");
    }

    @Test
    void otherTypes() {
        DataType type = ROW(
                FIELD("_id", STRING()),
                FIELD("_version", BIGINT()),
                FIELD("at", TIMESTAMP(3)),
                FIELD("exact", DECIMAL(10, 2)),
                FIELD("open", BOOLEAN()),
                FIELD("ratio", DOUBLE()));
        assertThat(body(
                        type,
                        GenericRowData.of(
                                StringData.fromString("a"),
                                1L,
                                TimestampData.fromLocalDateTime(LocalDateTime.of(2026, 1, 2, 3, 4, 5, 6_000_000)),
                                DecimalData.fromBigDecimal(new BigDecimal("12.50"), 10, 2),
                                true,
                                Double.NaN)))
                .isEqualTo("{\"at\":\"2026-01-02T03:04:05.006\",\"exact\":12.50,\"open\":true,\"ratio\":\"NaN\"}");
    }

    @Test
    void textThatIsNotQuiteText() {
        DataType type = ROW(FIELD("_id", STRING()), FIELD("_version", BIGINT()), FIELD("text", STRING()));
        assertThat(body(
                        type,
                        GenericRowData.of(StringData.fromString("a\ud800"), 1L, StringData.fromString("x\ud800y"))))
                .isEqualTo("{\"text\":\"x?y\"}");
        assertThat(body(type, GenericRowData.of(StringData.fromString("a"), 1L, StringData.fromBytes(new byte[] {
                    'x', (byte) 0xff, 0
                }))))
                .isEqualTo("{\"text\":\"x\ufffd\\u0000\"}");
    }

    @Test
    void columnsThatAreMissingOrUnknownAreNamed() {
        assertThatThrownBy(() -> convert(ROW(FIELD("_version", BIGINT())), GenericRowData.of(1L)))
                .hasMessageContaining("_id");
        assertThatThrownBy(() -> convert(
                        ROW(FIELD("_id", STRING()), FIELD("_version", STRING())), GenericRowData.of(null, null)))
                .hasMessageContaining("_version as BIGINT");
        assertThatThrownBy(() -> convert(
                        ROW(FIELD("_id", STRING()), FIELD("_version", BIGINT()), FIELD("_ofset", BIGINT())), null))
                .hasMessageContaining("_ofset");
        assertThatThrownBy(() -> convert(
                        ROW(FIELD("_id", STRING()), FIELD("_version", BIGINT()), FIELD("m", MAP(STRING(), STRING()))),
                        null))
                .hasMessageContaining("MAP");
    }
}
