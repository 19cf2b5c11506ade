package citystream.records;

import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;

/** What Python can't say, or says clumsily, through the gateway. */
public final class RowDataStreams {
    private RowDataStreams() {}

    /** The table as a stream of its internal rows: no conversion to {@code Row} and back. Insert-only tables. */
    public static DataStream<RowData> fromTable(StreamTableEnvironment tables, Table table) {
        return tables.toDataStream(
                table, table.getResolvedSchema().toSourceRowDataType().notNull().bridgedTo(RowData.class));
    }

    /** Keyed by a STRING column. */
    public static KeyedStream<RowData, StringData> keyBy(DataStream<RowData> rows, int index) {
        return rows.keyBy(new FieldKey(index), FieldKey.TYPE);
    }

    /** The letters that a {@link DeadLetterGate} wrote. */
    public static DataStream<String> deadLetters(SingleOutputStreamOperator<RowData> gate) {
        return gate.getSideOutput(DeadLetterGate.DEAD_LETTERS);
    }
}
