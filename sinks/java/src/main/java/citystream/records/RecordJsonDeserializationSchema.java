package citystream.records;

import java.util.HashSet;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/**
 * One row per record, always: the columns, or their nulls and an error.
 *
 * <p>The row's strings and its {@code raw} column point into the record's bytes, which must therefore not be reused by
 * the caller (Kafka's consumer hands out a fresh array per record).
 */
public final class RecordJsonDeserializationSchema implements DeserializationSchema<RowData> {
    private static final long serialVersionUID = 1L;

    /** The record's value as it came; null for a tombstone. */
    public static final String RAW = "raw";

    /** Null, or {@code <reason>: <detail>}. */
    public static final String ERROR = "error";

    private final String[] names;
    private final LogicalType[] types;
    private final boolean[] optional;
    private final int maxStringBytes;
    private final int rawIndex;
    private final int errorIndex;
    private final int arity;
    private final TypeInformation<RowData> producedType;

    private transient RecordJsonParser parser;

    public RecordJsonDeserializationSchema(
            RowType columns,
            List<String> metadata,
            List<String> optionalColumns,
            int maxStringBytes,
            TypeInformation<RowData> producedType) {
        int n = columns.getFieldCount();
        this.names = columns.getFieldNames().toArray(new String[0]);
        this.types = columns.getChildren().toArray(new LogicalType[0]);
        this.optional = new boolean[n];
        HashSet<String> mayLack = new HashSet<>(optionalColumns);
        for (int i = 0; i < n; i++) {
            optional[i] = mayLack.contains(names[i]);
        }
        this.maxStringBytes = maxStringBytes;
        int raw = metadata.indexOf(RAW);
        int error = metadata.indexOf(ERROR);
        this.rawIndex = raw < 0 ? -1 : n + raw;
        this.errorIndex = error < 0 ? -1 : n + error;
        this.arity = n + metadata.size();
        this.producedType = producedType;
        // Here, not on a TaskManager: an unsupported column type is refused when the job is planned.
        new RecordJsonParser(names, types, optional, maxStringBytes);
    }

    @Override
    public void open(InitializationContext context) {
        parser = new RecordJsonParser(names, types, optional, maxStringBytes);
    }

    @Override
    public RowData deserialize(byte[] value) {
        if (parser == null) {
            parser = new RecordJsonParser(names, types, optional, maxStringBytes);
        }
        GenericRowData row = new GenericRowData(arity);
        String error = parser.parse(value, row);
        if (rawIndex >= 0) {
            row.setField(rawIndex, value);
        }
        if (error != null && errorIndex >= 0) {
            row.setField(errorIndex, StringData.fromString(error));
        }
        return row;
    }

    @Override
    public boolean isEndOfStream(RowData next) {
        return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return producedType;
    }
}
