-- What each issue of KMA's short-term and mid-term forecasts said of a day at a station. Temperatures are in C; rain is
-- NULL where the issue does not tell, rain_percent is the highest probability within the day.
CREATE TABLE weather_forecast (
    station      text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('short-term', 'mid-term')),
    issued_at    timestamptz NOT NULL,
    day          date NOT NULL,
    mean_celsius numeric NOT NULL,
    min_celsius  numeric NOT NULL,
    max_celsius  numeric NOT NULL,
    rain_mm      numeric,
    rain_percent integer,
    version      bigint NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (station, kind, issued_at, day)
);
CREATE INDEX weather_forecast_day ON weather_forecast (station, day);

-- By which weather a day's emission is forecast: a short-term forecast, a mid-term one, or what is normal.
ALTER TABLE emission_forecast
    ADD COLUMN weather text NOT NULL DEFAULT 'normal' CHECK (weather IN ('forecast', 'mid-term', 'normal'));
