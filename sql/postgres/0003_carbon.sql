-- Carbon: what apartment complexes use and emit, the points they earn, the weather, and the forecast.
-- Every table is written by upsert, guarded by its version: a correction replaces what was there, a replay never does.
-- A month is its first day. NULL of a quantity means that nobody entered it, which is not the same as nothing used.

CREATE TABLE complexes (
    complex_id  text PRIMARY KEY,
    name        text NOT NULL,
    region      text NOT NULL,
    address     text NOT NULL,
    lat         double precision,
    lon         double precision,
    households  integer NOT NULL CHECK (households >= 0),
    heating     text,
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE weather_daily (
    station          text NOT NULL,
    day              date NOT NULL,
    mean_celsius     double precision,
    min_celsius      double precision,
    max_celsius      double precision,
    rain_mm          double precision NOT NULL,
    snow_cm          double precision NOT NULL,
    humidity_percent double precision,
    version          bigint NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (station, day)
);

CREATE TABLE energy_usage (
    complex_id      text NOT NULL,
    month           date NOT NULL,
    electricity_kwh numeric,
    gas_m3          numeric,
    water_m3        numeric,
    heat_mcal       numeric,
    version         bigint NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (complex_id, month)
);

-- The sum of the items that were entered. NULL where a correction took back all that had been entered.
CREATE TABLE emission_per_complex_month (
    complex_id     text NOT NULL,
    month          date NOT NULL,
    kg_co2         numeric(16, 3),
    electricity_kg numeric(16, 3),
    gas_kg         numeric(16, 3),
    water_kg       numeric(16, 3),
    heat_kg        numeric(16, 3),
    version        bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (complex_id, month)
);

-- Daily emission is an estimate: the month's, spread over its days by the weather. A complex's days add up to its month,
-- and the complexes of a region to the region, to the gram.
CREATE TABLE emission_per_complex_day (
    complex_id text NOT NULL,
    day        date NOT NULL,
    kg_co2     numeric(16, 3),
    estimated  boolean NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (complex_id, day)
);

-- `complexes` is how many of the region have something entered for that month.
CREATE TABLE emission_per_region_month (
    region     text NOT NULL,
    month      date NOT NULL,
    kg_co2     numeric(16, 3) NOT NULL,
    complexes  integer NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, month)
);

CREATE TABLE emission_per_region_day (
    region     text NOT NULL,
    day        date NOT NULL,
    kg_co2     numeric(16, 3) NOT NULL,
    complexes  integer NOT NULL,
    estimated  boolean NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, day)
);

-- A half-year is written 2026-H1. Savings are shares of the baseline; NULL where an item can't be judged.
CREATE TABLE carbon_points (
    complex_id         text NOT NULL,
    half_year          text NOT NULL,
    points             bigint NOT NULL,
    electricity_points bigint NOT NULL,
    gas_points         bigint NOT NULL,
    water_points       bigint NOT NULL,
    electricity_saving numeric,
    gas_saving         numeric,
    water_saving       numeric,
    households         integer NOT NULL,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (complex_id, half_year)
);

-- `id` is a region's code or a complex's id, as `scope` says; lower and upper bound the prediction interval.
CREATE TABLE emission_forecast (
    scope         text NOT NULL CHECK (scope IN ('region', 'complex')),
    id            text NOT NULL,
    day           date NOT NULL,
    kg_co2        numeric(16, 3) NOT NULL,
    lower         numeric(16, 3) NOT NULL,
    upper         numeric(16, 3) NOT NULL,
    model_version text NOT NULL,
    version       bigint NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, id, day)
);
