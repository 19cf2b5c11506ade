package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarCharType;
import org.junit.jupiter.api.Test;

class AlertSerializerTest {
    @Test
    void anAlertIsAnObjectUnderItsOwnKey() throws Exception {
        RowType type = RowType.of(
                new LogicalType[] {VarCharType.STRING_TYPE, new BigIntType(), new LocalZonedTimestampType(3)},
                new String[] {"alert", "seats", "at"});
        AlertSerializer serializer = new AlertSerializer("alerts", type);
        serializer.open(null, null);
        var record = serializer.serialize(
                GenericRowData.of(StringData.fromString("좌석|A"), 7L, TimestampData.fromEpochMillis(0)), null, null);
        assertThat(record.topic()).isEqualTo("alerts");
        assertThat(new String(record.key(), java.nio.charset.StandardCharsets.UTF_8))
                .isEqualTo("좌석|A");
        assertThat(new String(record.value(), java.nio.charset.StandardCharsets.UTF_8))
                .isEqualTo("{\"alert\":\"좌석|A\",\"seats\":7,\"at\":\"1970-01-01T00:00:00Z\"}");
    }
}
