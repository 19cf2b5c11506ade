package citystream.records;

import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.types.Row;

/** What Python can't say, or says clumsily, through the gateway. */
public final class RowDataStreams {
    private RowDataStreams() {}

    /** Keyed by a STRING column. */
    public static KeyedStream<RowData, StringData> keyBy(DataStream<RowData> rows, int index) {
        return rows.keyBy(new FieldKey(index), FieldKey.TYPE);
    }

    /** The letters that a {@link DeadLetterGate} wrote. */
    public static DataStream<Row> deadLetters(SingleOutputStreamOperator<RowData> gate) {
        return gate.getSideOutput(DeadLetterGate.DEAD_LETTERS);
    }
}
