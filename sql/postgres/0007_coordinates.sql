-- Coordinates: what was uploaded, and a row for each of its rows. Written by upsert, guarded by the version.

CREATE TABLE coordinate_uploads (
    batch_id    text PRIMARY KEY,
    file_name   text NOT NULL,
    source_crs  text NOT NULL,
    sheet_by    text,
    header      jsonb NOT NULL,        -- the names of the columns, in their order
    sheets      jsonb NOT NULL,        -- [key, rows] of each sheet, in the order of the file
    rows        bigint NOT NULL CHECK (rows >= 0),
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz            -- when the last row was acknowledged
);

CREATE TABLE coordinate_results (
    batch_id    text NOT NULL,
    sheet       text NOT NULL,
    row_number  bigint NOT NULL,       -- from 1, below the header
    lon         double precision,      -- WGS84 degrees
    lat         double precision,
    address     text,
    region      text,                  -- the first five digits of the legal code
    legal_code  text,
    status      text NOT NULL CHECK (status IN ('done', 'waiting', 'failed')),
    error       text,                  -- why it failed, or why there is no address
    payload     jsonb NOT NULL,        -- the cells of the row, as they were
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch_id, sheet, row_number)
);

-- How far each batch is. The end is estimated from its mean pace so far.
CREATE VIEW coordinate_batches AS
SELECT
    u.*, r.done, r.waiting, r.failed, u.rows - r.done - r.waiting - r.failed AS unseen,
    CASE
        WHEN r.done + r.failed = u.rows THEN r.last_at
        WHEN r.done + r.failed > 0
            THEN now() + (now() - u.uploaded_at) * ((u.rows - r.done - r.failed)::float8 / (r.done + r.failed))
    END AS estimated_end
FROM coordinate_uploads u
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE status = 'done') AS done,
        count(*) FILTER (WHERE status = 'waiting') AS waiting,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        max(updated_at) AS last_at
    FROM coordinate_results WHERE coordinate_results.batch_id = u.batch_id
) r;

-- For maps, where PostGIS is there and this user may switch it on.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis') THEN
        CREATE EXTENSION IF NOT EXISTS postgis;
        ALTER TABLE coordinate_results ADD COLUMN position geometry(Point, 4326)
            GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 4326)) STORED;
        CREATE INDEX coordinate_results_position ON coordinate_results USING gist (position);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'PostGIS is there, but this user may not switch it on: coordinate_results has lon and lat alone';
END
$$;
