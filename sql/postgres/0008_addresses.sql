-- Addresses that were looked up, kept for whoever asks for the same position again: a new batch, or a job whose state is
-- lost, costs no second call.
CREATE TABLE address_cache (
    api        text NOT NULL,          -- whose answer it is
    position   text NOT NULL,          -- longitude and latitude in WGS84 degrees, to 0.1 m
    address    text,                   -- null: none is known there
    asked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (api, position)
);

-- As json, whatever number or escape stands in a cell is kept as it is; as jsonb some are refused.
ALTER TABLE coordinate_results ALTER COLUMN payload TYPE json;
