-- What the totals need of a fact. Its bucket is a key, not a window: what comes late counts in its own day or minute.
SELECT ${columns} FROM ${facts}
