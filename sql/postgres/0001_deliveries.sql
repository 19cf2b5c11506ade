-- Deliveries: the ledger of orders, and the totals that the job keeps from it.

CREATE TABLE delivery_information (
    order_id        text PRIMARY KEY,
    ordered_at      timestamptz NOT NULL,
    store_id        integer NOT NULL,
    store_name      text NOT NULL,
    category        text NOT NULL,
    menu            text NOT NULL,
    pay             integer NOT NULL CHECK (pay >= 0),
    delivery_charge integer NOT NULL CHECK (delivery_charge >= 0),
    payment_method  text NOT NULL,
    complex_id      text,
    region          text NOT NULL,
    address         text NOT NULL,
    lat             double precision NOT NULL,
    lon             double precision NOT NULL
);
COMMENT ON TABLE delivery_information IS 'Ledger: every valid order once';

-- Each total is a running sum. Its version only grows, so that a replay never shows an older number.
CREATE TABLE pay_per_destination (
    day        date NOT NULL,
    region     text NOT NULL,
    orders     bigint NOT NULL,
    pay        bigint NOT NULL,
    charge     bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, region)
);

CREATE TABLE pay_per_category (
    day        date NOT NULL,
    category   text NOT NULL,
    orders     bigint NOT NULL,
    pay        bigint NOT NULL,
    charge     bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, category)
);

CREATE TABLE pay_per_complex (
    day        date NOT NULL,
    complex_id text NOT NULL,
    orders     bigint NOT NULL,
    pay        bigint NOT NULL,
    charge     bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, complex_id)
);

CREATE TABLE charge_per_day (
    day        date PRIMARY KEY,
    orders     bigint NOT NULL,
    pay        bigint NOT NULL,
    charge     bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
