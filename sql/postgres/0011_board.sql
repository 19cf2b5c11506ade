-- The board: what its pages read is found by an index. A ledger's is a BRIN, which costs a writer next to nothing:
-- rows come nearly in the order of their time, and a page reads the newest.

CREATE INDEX delivery_information_ordered_at ON delivery_information
    USING brin (ordered_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX tickets_show ON tickets (show_id, at);

CREATE INDEX ticket_sales_per_minute_minute ON ticket_sales_per_minute (minute);
CREATE INDEX oversells_seen_at ON oversells (seen_at);
CREATE INDEX sold_out_shows_seen_at ON sold_out_shows (seen_at);

CREATE INDEX pay_per_complex_complex ON pay_per_complex (complex_id, day);
CREATE INDEX emission_per_complex_day_day ON emission_per_complex_day (day);
CREATE INDEX emission_per_region_day_day ON emission_per_region_day (day);
