package citystream.records;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.VarCharType;

/**
 * A STRING column as a key, in Flink's own binary form: neither hashing nor writing it to state makes a {@link String}.
 * The key is a copy, as the heap backend keeps it while the row it came from lives in memory that is reused. A null
 * becomes the empty key.
 */
public final class FieldKey implements KeySelector<RowData, StringData> {
    private static final long serialVersionUID = 1L;

    /** The key's type: serialised as a length and the bytes. */
    public static final TypeInformation<StringData> TYPE = InternalTypeInfo.of(VarCharType.STRING_TYPE);

    /** The key of rows that have none. */
    static final StringData NONE = BinaryStringData.EMPTY_UTF8;

    private final int index;

    public FieldKey(int index) {
        this.index = index;
    }

    @Override
    public StringData getKey(RowData row) {
        if (row.isNullAt(index)) {
            return NONE;
        }
        return ((BinaryStringData) row.getString(index)).copy();
    }
}
