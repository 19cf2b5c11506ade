package citystream.records;

import java.util.Arrays;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.binary.BinaryRowData;
import org.apache.flink.table.data.writer.BinaryRowWriter;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.VarCharType;

/** Several STRING columns as a key, none of them null: a row of them, in Flink's own binary form. */
public final class FieldsKey implements KeySelector<RowData, RowData> {
    private static final long serialVersionUID = 1L;

    private final int[] indexes;

    public FieldsKey(int... indexes) {
        this.indexes = indexes.clone();
    }

    /** The key's type. */
    public TypeInformation<RowData> type() {
        LogicalType[] types = new LogicalType[indexes.length];
        Arrays.fill(types, VarCharType.STRING_TYPE.copy(false));
        return InternalTypeInfo.ofFields(types);
    }

    @Override
    public RowData getKey(RowData row) {
        BinaryRowData key = new BinaryRowData(indexes.length);
        BinaryRowWriter writer = new BinaryRowWriter(key);
        for (int i = 0; i < indexes.length; i++) {
            writer.writeString(i, row.getString(indexes[i]));
        }
        writer.complete();
        return key;
    }
}
