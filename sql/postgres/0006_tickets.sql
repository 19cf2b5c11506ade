-- Tickets: the ledger of sales and cancellations, what the job sums up of them, and its alarms.

CREATE TABLE tickets (
    kind      text NOT NULL CHECK (kind IN ('sale', 'cancellation')),
    ticket_id text NOT NULL,
    at        timestamptz NOT NULL,
    show_id   text NOT NULL,
    show_name text NOT NULL,
    venue     text NOT NULL,
    region    text NOT NULL,
    seat      text NOT NULL,
    price     integer NOT NULL CHECK (price >= 0),
    buyer_id  text NOT NULL,
    channel   text NOT NULL,
    PRIMARY KEY (ticket_id, kind)
);
COMMENT ON TABLE tickets IS 'Ledger: every valid sale and every valid cancellation once';

CREATE TABLE ticket_sales_per_region (
    day        date NOT NULL,
    region     text NOT NULL,
    sold       bigint NOT NULL,
    cancelled  bigint NOT NULL,
    revenue    bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, region)
);

-- Windows of event time: a row comes when its minute is over, and again for what is late and allowed.
CREATE TABLE ticket_sales_per_minute (
    show_id    text NOT NULL,
    minute     timestamptz NOT NULL,
    sold       bigint NOT NULL,
    cancelled  bigint NOT NULL,
    revenue    bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (show_id, minute)
);

CREATE TABLE late_ticket_sales (
    kind      text NOT NULL,
    ticket_id text NOT NULL,
    at        timestamptz NOT NULL,
    show_id   text NOT NULL,
    revenue   bigint NOT NULL,
    seen_at   timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, kind)
);
COMMENT ON TABLE late_ticket_sales IS 'In the ledger, and too late for ticket_sales_per_minute; revenue is signed';

CREATE TABLE oversells (
    show_id          text NOT NULL,
    seat             text NOT NULL,
    first_ticket_id  text NOT NULL,
    second_ticket_id text NOT NULL,
    at               timestamptz NOT NULL,
    seen_at          timestamptz NOT NULL,
    PRIMARY KEY (show_id, seat, second_ticket_id)
);
COMMENT ON TABLE oversells IS 'Sales of a seat that another ticket held at that time';

CREATE TABLE sold_out_shows (
    show_id text PRIMARY KEY,
    venue   text NOT NULL,
    seats   bigint NOT NULL,
    seen_at timestamptz NOT NULL
);
