package citystream.elasticsearch;

import static org.apache.flink.table.api.DataTypes.ARRAY;
import static org.apache.flink.table.api.DataTypes.BIGINT;
import static org.apache.flink.table.api.DataTypes.DATE;
import static org.apache.flink.table.api.DataTypes.DOUBLE;
import static org.apache.flink.table.api.DataTypes.FIELD;
import static org.apache.flink.table.api.DataTypes.INT;
import static org.apache.flink.table.api.DataTypes.ROW;
import static org.apache.flink.table.api.DataTypes.STRING;
import static org.apache.flink.table.api.DataTypes.TIMESTAMP_LTZ;

import java.time.Instant;
import java.time.LocalDate;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;

/** Order-like rows. */
final class Rows {

    static final DataType TYPE = ROW(
            FIELD("_id", STRING()),
            FIELD("_version", BIGINT()),
            FIELD("_topic", STRING()),
            FIELD("_partition", INT()),
            FIELD("_offset", BIGINT()),
            FIELD("order_id", STRING()),
            FIELD("ordered_at", TIMESTAMP_LTZ(3)),
            FIELD("day", DATE()),
            FIELD("store_id", INT()),
            FIELD("store_name", STRING()),
            FIELD("category", STRING()),
            FIELD("menu", STRING()),
            FIELD("pay", INT()),
            FIELD("delivery_charge", INT()),
            FIELD("payment_method", STRING()),
            FIELD("complex_id", STRING()),
            FIELD("region", STRING()),
            FIELD("address", STRING()),
            FIELD("location", ARRAY(DOUBLE())));

    private Rows() {}

    static GenericRowData order(String id, long version) {
        long number = Math.abs(id.hashCode());
        return GenericRowData.of(
                StringData.fromString(id),
                version,
                StringData.fromString("deliveries"),
                1,
                number,
                StringData.fromString(id),
                TimestampData.fromInstant(Instant.parse("2026-11-21T03:04:05Z").plusMillis(number % 1000 * 1000)),
                (int) LocalDate.of(2026, 11, 21).toEpochDay(),
                (int) (number % 500),
                StringData.fromString("맛있는 치킨 " + number % 500 + "호점"),
                StringData.fromString("chicken"),
                StringData.fromString("양념치킨"),
                21_000,
                3_000,
                StringData.fromString("card"),
                null,
                StringData.fromString("27110"),
                StringData.fromString("대구광역시 중구 동성로 " + number % 1000),
                new GenericArrayData(new double[] {128.6 + number % 100 / 1000.0, 35.87}));
    }

    static RowData with(GenericRowData row, int field, Object value) {
        row.setField(field, value);
        return row;
    }
}
