-- Where quantities come from: what the office entered (k-apt) or, where it entered nothing, what was metered at the
-- complex's lots (buildings); emission may be of an estimate, too. The lots are those of the address by parcel, in a legal dong of ten digits.
ALTER TABLE complexes ADD COLUMN legal_dong text, ADD COLUMN parcel text;
CREATE INDEX complexes_by_region ON complexes (region);

ALTER TABLE energy_usage
    ADD COLUMN electricity_source text,
    ADD COLUMN gas_source text,
    ADD COLUMN water_source text,
    ADD COLUMN heat_source text;

-- `gap_kg` is the part of kg_co2 that is an estimate, as nobody entered it.
ALTER TABLE emission_per_complex_month
    ADD COLUMN electricity_source text,
    ADD COLUMN gas_source text,
    ADD COLUMN water_source text,
    ADD COLUMN heat_source text,
    ADD COLUMN gap_kg numeric(16, 3);
ALTER TABLE emission_per_complex_day ADD COLUMN gap_kg numeric(16, 3);
ALTER TABLE emission_per_region_month ADD COLUMN gap_kg numeric(16, 3) NOT NULL DEFAULT 0;
ALTER TABLE emission_per_region_day ADD COLUMN gap_kg numeric(16, 3) NOT NULL DEFAULT 0;

-- Points are of all households, or of one. What was saved against the baseline is in kg CO2, and in pine trees that take
-- up as much in a year; negative where more was used.
ALTER TABLE carbon_points
    ADD COLUMN points_per_household bigint NOT NULL DEFAULT 0,
    ADD COLUMN saved_kg numeric(16, 3) NOT NULL DEFAULT 0,
    ADD COLUMN pine_trees numeric(16, 1) NOT NULL DEFAULT 0;

-- Points that a half-year is expected to bring, while not all of its months were entered: `months` were. `..._saving` is
-- the expected one of the half-year, `..._saving_so_far` that of the months that can be compared. Final: carbon_points.
CREATE TABLE carbon_points_expected (
    complex_id                text NOT NULL,
    half_year                 text NOT NULL,
    months                    integer NOT NULL,
    points                    bigint NOT NULL,
    points_per_household      bigint NOT NULL,
    electricity_points        bigint NOT NULL,
    gas_points                bigint NOT NULL,
    water_points              bigint NOT NULL,
    electricity_saving        numeric,
    gas_saving                numeric,
    water_saving              numeric,
    electricity_saving_so_far numeric,
    gas_saving_so_far         numeric,
    water_saving_so_far       numeric,
    saved_kg                  numeric(16, 3) NOT NULL,
    pine_trees                numeric(16, 1) NOT NULL,
    households                integer NOT NULL,
    version                   bigint NOT NULL,
    updated_at                timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (complex_id, half_year)
);
