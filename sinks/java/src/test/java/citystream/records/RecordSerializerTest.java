package citystream.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.junit.jupiter.api.Test;

class RecordSerializerTest {
    @Test
    void aRowIsTheRecordThatItSays() {
        var record = new RecordSerializer("complexes")
                .serialize(
                        GenericRowData.of(
                                StringData.fromString("A1"), StringData.fromString("{\"name\":\"단지\"}"), 1_795_200L),
                        null,
                        7L);
        assertThat(record.topic()).isEqualTo("complexes");
        assertThat(record.partition()).isNull();
        assertThat(record.timestamp()).isEqualTo(1_795_200L);
        assertThat(new String(record.key(), StandardCharsets.UTF_8)).isEqualTo("A1");
        assertThat(new String(record.value(), StandardCharsets.UTF_8)).isEqualTo("{\"name\":\"단지\"}");
    }
}
