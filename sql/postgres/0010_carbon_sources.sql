-- Where quantities come from: what the office entered (k-apt) or, where it entered nothing, what was metered at the
-- complex's lots (buildings). The lots are those of the address by parcel, in a legal dong of ten digits.
ALTER TABLE complexes ADD COLUMN legal_dong text, ADD COLUMN parcel text;

ALTER TABLE energy_usage
    ADD COLUMN electricity_source text,
    ADD COLUMN gas_source text,
    ADD COLUMN water_source text,
    ADD COLUMN heat_source text;

ALTER TABLE emission_per_complex_month
    ADD COLUMN electricity_source text,
    ADD COLUMN gas_source text,
    ADD COLUMN water_source text,
    ADD COLUMN heat_source text;
