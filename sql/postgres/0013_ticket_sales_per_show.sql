-- Sales per day and show: what a list of shows adds up, whose minutes would be half a million rows of a busy day.
CREATE TABLE ticket_sales_per_show (
    day        date NOT NULL,
    show_id    text NOT NULL,
    sold       bigint NOT NULL,
    cancelled  bigint NOT NULL,
    revenue    bigint NOT NULL,
    version    bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, show_id)
);
CREATE INDEX ticket_sales_per_show_show ON ticket_sales_per_show (show_id, day);
