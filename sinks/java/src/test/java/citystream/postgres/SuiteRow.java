package citystream.postgres;

import java.io.Serializable;
import java.util.Objects;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RawValueData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.types.RowKind;
import org.apache.flink.types.variant.Variant;

/** The record of Flink's sink suite, which wants it comparable: an id and an amount, as a POJO that reads as a row. */
public final class SuiteRow implements RowData, Comparable<SuiteRow>, Serializable {
    static final RowType TYPE =
            RowType.of(new LogicalType[] {new VarCharType(64), new BigIntType()}, new String[] {"id", "amount"});

    public String id;
    public long amount;

    public SuiteRow() {}

    SuiteRow(String id, long amount) {
        this.id = id;
        this.amount = amount;
    }

    @Override
    public StringData getString(int pos) {
        return StringData.fromString(id);
    }

    @Override
    public long getLong(int pos) {
        return amount;
    }

    @Override
    public boolean isNullAt(int pos) {
        return false;
    }

    @Override
    public int getArity() {
        return 2;
    }

    @Override
    public RowKind getRowKind() {
        return RowKind.INSERT;
    }

    @Override
    public int compareTo(SuiteRow other) {
        return id.compareTo(other.id);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof SuiteRow row && row.id.equals(id) && row.amount == amount;
    }

    @Override
    public int hashCode() {
        return Objects.hash(id, amount);
    }

    @Override
    public String toString() {
        return id + "=" + amount;
    }

    // What a row of these two columns has not.

    @Override
    public void setRowKind(RowKind kind) {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean getBoolean(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public byte getByte(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public short getShort(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int getInt(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public float getFloat(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public double getDouble(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public DecimalData getDecimal(int pos, int precision, int scale) {
        throw new UnsupportedOperationException();
    }

    @Override
    public TimestampData getTimestamp(int pos, int precision) {
        throw new UnsupportedOperationException();
    }

    @Override
    public <T> RawValueData<T> getRawValue(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public byte[] getBinary(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public ArrayData getArray(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public MapData getMap(int pos) {
        throw new UnsupportedOperationException();
    }

    @Override
    public RowData getRow(int pos, int numFields) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Variant getVariant(int pos) {
        throw new UnsupportedOperationException();
    }
}
