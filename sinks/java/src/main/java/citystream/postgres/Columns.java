package citystream.postgres;

import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

/** The columns of a sink: their names, and how each of their values is written for COPY. */
final class Columns {
    private interface Encoder {
        void encode(RowData row, CopyBuffer to);
    }

    private final List<String> names;
    private final Encoder[] encoders;

    Columns(RowType type) {
        names = type.getFieldNames();
        encoders = new Encoder[names.size()];
        for (int i = 0; i < encoders.length; i++) {
            encoders[i] = encoder(names.get(i), type.getTypeAt(i), i);
        }
    }

    /** Appends the row as one line of COPY text. */
    void encode(RowData row, CopyBuffer to) {
        for (int i = 0; i < encoders.length; i++) {
            encodeField(row, i, to);
        }
        to.endRow();
    }

    /** Appends the fields at these positions: equal keys give equal bytes. */
    void encode(RowData row, int[] positions, CopyBuffer to) {
        for (int position : positions) {
            encodeField(row, position, to);
        }
    }

    private void encodeField(RowData row, int position, CopyBuffer to) {
        if (row.isNullAt(position)) {
            to.putNull();
        } else {
            encoders[position].encode(row, to);
        }
        to.endField();
    }

    List<String> names() {
        return names;
    }

    private static Encoder encoder(String name, LogicalType type, int at) {
        switch (type.getTypeRoot()) {
            case CHAR, VARCHAR:
                return (row, to) -> to.putString(row.getString(at));
            case BOOLEAN:
                return (row, to) -> to.putBoolean(row.getBoolean(at));
            case TINYINT:
                return (row, to) -> to.putLong(row.getByte(at));
            case SMALLINT:
                return (row, to) -> to.putLong(row.getShort(at));
            case INTEGER:
                return (row, to) -> to.putLong(row.getInt(at));
            case BIGINT:
                return (row, to) -> to.putLong(row.getLong(at));
            case FLOAT:
                return (row, to) -> to.putAscii(Float.toString(row.getFloat(at)));
            case DOUBLE:
                return (row, to) -> to.putDouble(row.getDouble(at));
            case DATE:
                return (row, to) -> to.putDate(row.getInt(at));
            case DECIMAL:
                int digits = LogicalTypeChecks.getPrecision(type);
                int scale = LogicalTypeChecks.getScale(type);
                return (row, to) -> to.putAscii(
                        row.getDecimal(at, digits, scale).toBigDecimal().toPlainString());
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                int precision = LogicalTypeChecks.getPrecision(type);
                return (row, to) -> to.putTimestamp(micros(row.getTimestamp(at, precision)));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                int precisionUtc = LogicalTypeChecks.getPrecision(type);
                return (row, to) -> {
                    to.putTimestamp(micros(row.getTimestamp(at, precisionUtc)));
                    to.putAscii("+00");
                };
            default:
                throw new IllegalArgumentException(
                        "Column %s has type %s, which the PostgreSQL sinks don't write: cast it to STRING, a number, BOOLEAN, DATE, TIMESTAMP or DECIMAL"
                                .formatted(name, type.asSummaryString()));
        }
    }

    /**
     * A column as a number that grows with it: integers as they are, dates as days, timestamps as microseconds; null is
     * least.
     */
    static ToLongFunction<RowData> number(RowType type, String column) {
        int at = position(type, column);
        LogicalType columnType = type.getTypeAt(at);
        ToLongFunction<RowData> number =
                switch (columnType.getTypeRoot()) {
                    case INTEGER, DATE -> row -> row.getInt(at);
                    case BIGINT -> row -> row.getLong(at);
                    case TIMESTAMP_WITHOUT_TIME_ZONE, TIMESTAMP_WITH_LOCAL_TIME_ZONE -> {
                        int precision = LogicalTypeChecks.getPrecision(columnType);
                        yield row -> micros(row.getTimestamp(at, precision));
                    }
                    default -> throw new IllegalArgumentException(
                            "Column %s has type %s; an INT, BIGINT, DATE or TIMESTAMP is needed here"
                                    .formatted(column, columnType.asSummaryString()));
                };
        return row -> row.isNullAt(at) ? Long.MIN_VALUE : number.applyAsLong(row);
    }

    static int[] positions(RowType type, String... columns) {
        return Arrays.stream(columns).mapToInt(column -> position(type, column)).toArray();
    }

    private static int position(RowType type, String column) {
        int at = type.getFieldIndex(column);
        if (at < 0) {
            throw new IllegalArgumentException(
                    "The rows have no column %s, only %s".formatted(column, type.getFieldNames()));
        }
        return at;
    }

    private static long micros(TimestampData time) {
        return time.getMillisecond() * 1_000 + time.getNanoOfMillisecond() / 1_000;
    }

    /** A name, with or without its schema, in double quotes. */
    static String quoted(String name) {
        return Arrays.stream(name.split("\\."))
                .map(part -> '"' + part.replace("\"", "\"\"") + '"')
                .collect(Collectors.joining("."));
    }

    static String quoted(List<String> names) {
        return names.stream()
                .map(name -> '"' + name.replace("\"", "\"\"") + '"')
                .collect(Collectors.joining(", "));
    }
}
