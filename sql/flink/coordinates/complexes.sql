-- Carbon's apartment complexes, as far as it takes to see which of them have an address and no position.
CREATE TEMPORARY TABLE `${topic}` (
    complex_id  STRING,
    address     STRING,
    parcel      STRING,
    lat         DOUBLE,
    lon         DOUBLE,
    `raw`       BYTES METADATA FROM 'value.raw' VIRTUAL,
    `error`     STRING METADATA FROM 'value.error' VIRTUAL,
    fetched_at  TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
    ${kafka},
    'format' = 'record-json',
    'record-json.optional' = 'parcel;lat;lon',
    -- What describes a complex is never longer, and whatever is goes to nobody.
    'record-json.max-string-bytes' = '1000'
)
