-- Upkeep of staging: epochs that were committed long ago are purged while jobs run, and what they add up to stays here.
-- Rows that a ledger was sent once more than it kept: rows - inserted of its committed epochs, and the same purged.
ALTER TABLE staging.writers
    ADD COLUMN purged_rows     bigint NOT NULL DEFAULT 0,
    ADD COLUMN purged_inserted bigint NOT NULL DEFAULT 0;
