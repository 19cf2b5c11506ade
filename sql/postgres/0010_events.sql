-- World events: each change once, what is known of each event, and what comes of it per day.

CREATE TABLE event_changes (
    event_id    text NOT NULL,
    updated     timestamptz NOT NULL,
    update_type smallint NOT NULL CHECK (update_type BETWEEN 1 AND 4),
    changed     jsonb NOT NULL,
    seen_at     timestamptz NOT NULL,
    PRIMARY KEY (event_id, updated)
);
COMMENT ON TABLE event_changes IS 'Ledger: every change once; `changed` has the old and the new value of each field';

CREATE TABLE events (
    event_id       text PRIMARY KEY,
    title          text,
    category       text,
    country        text,
    scope          text,
    timezone       text,
    lat            double precision,
    lon            double precision,
    place          text,                   -- the position to 11 m, by which look-ups are kept
    airport        text,                   -- the nearest one of the country
    start_at       timestamptz,
    end_at         timestamptz,
    start_day      date,                   -- days are those where it takes place
    end_day        date,
    rank           integer,
    local_rank     integer,
    attendance     bigint,
    spend          bigint,                 -- USD, predicted
    state          text NOT NULL,
    deleted_reason text,
    update_type    smallint NOT NULL CHECK (update_type BETWEEN 0 AND 4),
    updated        timestamptz NOT NULL,
    flaws          text,                   -- which fields could not be read, and why
    version        bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_place ON events (place);
COMMENT ON COLUMN events.update_type IS '0 unchanged, 1 changed without a move, 2 moved, 3 new, 4 deleted';

-- An event counts on its first day. Zeros where all events of a day, country and category have gone elsewhere.
CREATE TABLE event_spend (
    day        date NOT NULL,
    country    text NOT NULL,
    category   text NOT NULL,
    events     bigint NOT NULL,
    spend      bigint NOT NULL,
    attendance bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, country, category)
);

CREATE VIEW events_per_country AS
SELECT
    country, category, sum(events)::bigint AS events, sum(spend)::bigint AS spend,
    sum(attendance)::bigint AS attendance
FROM event_spend
GROUP BY country, category
HAVING sum(events) > 0;

CREATE VIEW top_events AS
SELECT event_id, title, category, country, rank, local_rank, attendance, spend, start_at, end_at, lat, lon, airport
FROM events
WHERE state <> 'deleted' AND coalesce(end_at, start_at) >= now()
ORDER BY rank DESC NULLS LAST, attendance DESC NULLS LAST, event_id;

-- What is near the place of events, as a provider told it, and until when that may be kept.
CREATE TABLE nearby_places (
    place       text NOT NULL,
    provider    text NOT NULL,
    place_id    text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('restaurant', 'cafe', 'hotel')),
    name        text,
    lat         double precision NOT NULL,
    lon         double precision NOT NULL,
    metres      integer NOT NULL,
    attribution text NOT NULL,             -- to be shown beside it
    fetched_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (place, provider, place_id)
);
CREATE INDEX nearby_places_expires_at ON nearby_places (expires_at);

-- Of each non-stop flight of a day the lowest fare. Times are those of the airports.
CREATE TABLE flight_offers (
    origin      text NOT NULL,
    destination text NOT NULL,
    day         date NOT NULL,
    flight      text NOT NULL,
    country     text,                      -- the one away from home
    departs_at  timestamp NOT NULL,
    arrives_at  timestamp NOT NULL,
    amount      numeric(14, 4) NOT NULL,
    currency    text NOT NULL,
    fetched_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, destination, day, flight)
);
CREATE INDEX flight_offers_expires_at ON flight_offers (expires_at);

CREATE VIEW events_near_hotels AS
SELECT
    n.place_id AS hotel_id, n.name AS hotel, n.metres, e.event_id, e.title, e.category, e.country, e.rank, e.start_at,
    e.end_at, n.lat, n.lon, n.attribution
FROM nearby_places n
JOIN events e ON e.place = n.place AND e.state <> 'deleted'
WHERE n.kind = 'hotel' AND n.expires_at > now();

-- Both ways; a week is its Monday.
CREATE VIEW fares_per_country_week AS
SELECT
    date_trunc('week', day)::date AS week, country, currency, count(*) AS offers, round(avg(amount), 2) AS mean_fare,
    min(amount) AS lowest_fare
FROM flight_offers
WHERE country IS NOT NULL AND expires_at > now()
GROUP BY 1, 2, 3;

-- A pull without memory looks everything up for every event, every day until it is over. By how many calls such a day
-- has more than the one before.
CREATE TABLE naive_calls (
    day        date NOT NULL,
    operation  text NOT NULL,
    calls      bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, operation)
);

-- Answers of public APIs, so that no kill and no fresh start pays for one twice.
CREATE TABLE api_answers (
    operation  text NOT NULL,
    question   text NOT NULL,
    answer     jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (operation, question)
);
CREATE INDEX api_answers_expires_at ON api_answers (expires_at);

-- Calls of public APIs by jobs, per day and operation. `api_quotas` has them counted before they are made, and forgets
-- them after two days.
CREATE TABLE calls_made (
    day       date NOT NULL,
    operation text NOT NULL,
    calls     bigint NOT NULL,
    PRIMARY KEY (day, operation)
);

CREATE FUNCTION count_calls_made() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more bigint := NEW.calls - CASE WHEN TG_OP = 'UPDATE' THEN OLD.calls ELSE 0 END;
BEGIN
    -- A period is a day, or a minute that begins with its day.
    INSERT INTO calls_made AS known VALUES (left(NEW.period, 10)::date, NEW.operation, more)
    ON CONFLICT (day, operation) DO UPDATE SET calls = known.calls + more;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_calls_made AFTER INSERT OR UPDATE OF calls ON api_quotas
FOR EACH ROW EXECUTE FUNCTION count_calls_made();

-- Up to today; `saved` is what a pull without memory would have called besides.
CREATE VIEW api_calls AS
SELECT
    day, operation AS api, coalesce(made.calls, 0) AS calls,
    greatest(coalesce(naive.calls, 0) - coalesce(made.calls, 0), 0) AS saved
FROM (
    SELECT days.day::date AS day, operation, sum(naive_calls.calls)::bigint AS calls
    FROM (
        SELECT generate_series(min(day), current_date, interval '1 day') AS day FROM naive_calls
    ) AS days
    JOIN naive_calls ON naive_calls.day <= days.day
    GROUP BY days.day, operation
) AS naive
FULL JOIN calls_made AS made USING (day, operation);
