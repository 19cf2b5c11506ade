package citystream.elasticsearch;

import citystream.elasticsearch.Document.Source;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.connector.base.sink.writer.ElementConverter;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.util.ByteArrayBuilder;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;

/**
 * A row as a document. Columns whose name begins with an underscore are about the document: {@code _id} and
 * {@code _version} are required, {@code _topic}, {@code _partition} and {@code _offset} say where the record came from.
 * All others are its body; those that are null are left out.
 */
final class DocumentConverter implements ElementConverter<RowData, Document> {

    private static final JsonFactory JSON = new JsonFactory();
    private static final DateTimeFormatter MILLISECONDS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS").withZone(ZoneOffset.UTC);

    private final RowData.FieldGetter id;
    private final RowData.FieldGetter version;
    private final RowData.FieldGetter topic;
    private final RowData.FieldGetter partition;
    private final RowData.FieldGetter offset;
    private final List<Field> body = new ArrayList<>();

    DocumentConverter(RowType row) {
        id = about(row, "_id", LogicalTypeRoot.VARCHAR, true);
        version = about(row, "_version", LogicalTypeRoot.BIGINT, true);
        topic = about(row, "_topic", LogicalTypeRoot.VARCHAR, false);
        partition = about(row, "_partition", LogicalTypeRoot.INTEGER, false);
        offset = about(row, "_offset", LogicalTypeRoot.BIGINT, false);
        Set<String> known = Set.of("_id", "_version", "_topic", "_partition", "_offset");
        for (int i = 0; i < row.getFieldCount(); i++) {
            String name = row.getFieldNames().get(i);
            if (!name.startsWith("_")) {
                body.add(new Field(name, RowData.createFieldGetter(row.getTypeAt(i), i), value(row.getTypeAt(i))));
            } else if (!known.contains(name)) {
                throw new IllegalArgumentException("The column " + name + " is not one of " + known
                        + ": rename it, a column that begins with an underscore is not part of the document");
            }
        }
    }

    @Override
    public Document apply(RowData row, SinkWriter.Context context) {
        Object key = id.getFieldOrNull(row);
        Object number = version.getFieldOrNull(row);
        Object from = topic.getFieldOrNull(row);
        Source source = from == null
                ? Source.UNKNOWN
                : new Source(
                        from.toString(), (Integer) partition.getFieldOrNull(row), (Long) offset.getFieldOrNull(row));
        return new Document(key == null ? "" : text(key), number == null ? -1 : (Long) number, json(row), source, 0);
    }

    /** Through its bytes, because a lone surrogate in a Java string has no JSON. */
    private static String text(Object value) {
        return new String(((StringData) value).toBytes(), StandardCharsets.UTF_8);
    }

    private byte[] json(RowData row) {
        try (ByteArrayBuilder bytes = new ByteArrayBuilder();
                JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            for (Field field : body) {
                Object value = field.getter.getFieldOrNull(row);
                if (value != null) {
                    json.writeFieldName(field.name);
                    field.writer.write(value, json);
                }
            }
            json.writeEndObject();
            json.flush();
            return bytes.toByteArray();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private static RowData.FieldGetter about(RowType row, String name, LogicalTypeRoot type, boolean required) {
        int index = row.getFieldIndex(name);
        if (index < 0 && !required) {
            return any -> null;
        }
        if (index < 0 || !row.getTypeAt(index).is(type)) {
            throw new IllegalArgumentException(
                    "A document's row needs the column " + name + " as " + type + ", but is " + row.asSummaryString());
        }
        return RowData.createFieldGetter(row.getTypeAt(index), index);
    }

    private static ValueWriter value(LogicalType type) {
        return switch (type.getTypeRoot()) {
            case BOOLEAN -> (value, json) -> json.writeBoolean((Boolean) value);
            case TINYINT, SMALLINT, INTEGER -> (value, json) -> json.writeNumber(((Number) value).intValue());
            case BIGINT -> (value, json) -> json.writeNumber((Long) value);
            case FLOAT -> (value, json) -> json.writeNumber((Float) value);
            case DOUBLE -> (value, json) -> json.writeNumber((Double) value);
            case DECIMAL -> (value, json) -> json.writeNumber(((DecimalData) value).toBigDecimal());
            case CHAR, VARCHAR -> (value, json) -> json.writeString(text(value));
            case DATE -> (value, json) ->
                    json.writeString(LocalDate.ofEpochDay((Integer) value).toString());
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> (value, json) ->
                    json.writeString(MILLISECONDS.format(((TimestampData) value).toInstant()) + "Z");
            case TIMESTAMP_WITHOUT_TIME_ZONE -> (value, json) ->
                    json.writeString(MILLISECONDS.format(((TimestampData) value).toLocalDateTime()));
            case ARRAY -> array(((ArrayType) type).getElementType());
            default -> throw new IllegalArgumentException(
                    "A document can't hold " + type.asSummaryString() + ": cast the column to a simpler type");
        };
    }

    private static ValueWriter array(LogicalType type) {
        ArrayData.ElementGetter getter = ArrayData.createElementGetter(type);
        ValueWriter writer = value(type);
        return (value, json) -> {
            ArrayData array = (ArrayData) value;
            json.writeStartArray();
            for (int i = 0; i < array.size(); i++) {
                Object element = getter.getElementOrNull(array, i);
                if (element == null) {
                    json.writeNull();
                } else {
                    writer.write(element, json);
                }
            }
            json.writeEndArray();
        };
    }

    private record Field(String name, RowData.FieldGetter getter, ValueWriter writer) implements Serializable {}

    @FunctionalInterface
    private interface ValueWriter extends Serializable {
        void write(Object value, JsonGenerator json) throws IOException;
    }
}
