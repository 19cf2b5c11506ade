-- Calls of public APIs by jobs: counted before they are made, by all subtasks, per key (by a name that doesn't tell it).

CREATE TABLE api_quotas (
    holder     text NOT NULL,
    operation  text NOT NULL,
    period     text NOT NULL,          -- a day such as 2026-11-21, or a minute such as 2026-11-21T03:05Z
    ends       timestamptz NOT NULL,
    calls      integer NOT NULL CHECK (calls >= 0),
    PRIMARY KEY (holder, operation, period)
);

-- Until when a service said that it will not answer.
CREATE TABLE api_refusals (
    holder     text NOT NULL,
    operation  text NOT NULL,
    until      timestamptz NOT NULL,
    PRIMARY KEY (holder, operation)
);
