package citystream.records;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.utils.DataTypeUtils;

/**
 * The table format {@code record-json}: one JSON object per record, and exactly one row per record whatever it holds.
 *
 * <pre>{@code
 * CREATE TABLE orders (
 *   order_id STRING, pay INT, complex_id STRING, ...,
 *   raw   BYTES  METADATA FROM 'value.raw'   VIRTUAL,
 *   error STRING METADATA FROM 'value.error' VIRTUAL
 * ) WITH ('connector' = 'kafka', ..., 'value.format' = 'record-json',
 *         'value.record-json.optional' = 'complex_id')
 * }</pre>
 *
 * <p>Every column is required in the JSON unless {@code optional} names it. {@code error} is null for a record that was
 * decoded, else {@code <reason>: <detail>} and every physical column is null. See {@link RecordJsonParser} for the
 * reasons.
 */
public final class RecordJsonFormatFactory implements DeserializationFormatFactory {

    public static final String IDENTIFIER = "record-json";

    public static final ConfigOption<List<String>> OPTIONAL = ConfigOptions.key("optional")
            .stringType()
            .asList()
            .defaultValues()
            .withDescription("Columns that a record may lack or hold null for; the others are required.");

    public static final ConfigOption<Integer> MAX_STRING_BYTES = ConfigOptions.key("max-string-bytes")
            .intType()
            .defaultValue(4096)
            .withDescription("The longest string a column takes, in bytes of UTF-8.");

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(OPTIONAL, MAX_STRING_BYTES);
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        FactoryUtil.validateFactoryOptions(this, options);
        List<String> optional = options.get(OPTIONAL);
        List<String> columns = DataType.getFieldNames(context.getPhysicalRowDataType());
        for (String name : optional) {
            if (!columns.contains(name)) {
                throw new ValidationException("'record-json.optional' names '" + name
                        + "', which is not a column; the columns are " + columns);
            }
        }
        int maxStringBytes = options.get(MAX_STRING_BYTES);
        if (maxStringBytes < 1) {
            throw new ValidationException("'record-json.max-string-bytes' must be at least 1, not " + maxStringBytes);
        }
        return new Format(optional, maxStringBytes);
    }

    private static final class Format implements DecodingFormat<DeserializationSchema<RowData>> {
        private static final Map<String, DataType> METADATA = new LinkedHashMap<>();

        static {
            METADATA.put(RecordJsonDeserializationSchema.RAW, DataTypes.BYTES().nullable());
            METADATA.put(
                    RecordJsonDeserializationSchema.ERROR, DataTypes.STRING().nullable());
        }

        private final List<String> optional;
        private final int maxStringBytes;
        private List<String> metadata = List.of();

        Format(List<String> optional, int maxStringBytes) {
            this.optional = List.copyOf(optional);
            this.maxStringBytes = maxStringBytes;
        }

        @Override
        public DeserializationSchema<RowData> createRuntimeDecoder(
                DynamicTableSource.Context context, DataType physical) {
            List<DataTypes.Field> fields = new ArrayList<>();
            for (String key : metadata) {
                fields.add(DataTypes.FIELD(key, METADATA.get(key)));
            }
            DataType produced = DataTypeUtils.appendRowFields(physical, fields);
            return new RecordJsonDeserializationSchema(
                    (RowType) physical.getLogicalType(),
                    metadata,
                    optional,
                    maxStringBytes,
                    context.createTypeInformation(produced));
        }

        @Override
        public Map<String, DataType> listReadableMetadata() {
            return METADATA;
        }

        @Override
        public void applyReadableMetadata(List<String> keys) {
            metadata = List.copyOf(keys);
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }
    }
}
