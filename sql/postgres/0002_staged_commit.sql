-- Staged commit: how a ledger is written exactly once without prepared transactions.
-- A writer copies its rows into one staging table per epoch; the committer moves a checkpointed epoch into the ledger.

CREATE SCHEMA staging;

-- The fence: who may stage for a subtask. A newer attempt puts its own id here, and the older one can stage no more.
CREATE TABLE staging.writers (
    ledger   text        NOT NULL,               -- the job and its sink, e.g. deliveries.ledger
    subtask  int         NOT NULL,
    attempt  uuid        NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (ledger, subtask)
);

-- One row per epoch. Its rows are in the table staging."e_<token>" until they are committed.
CREATE TABLE staging.epochs (
    token         text        PRIMARY KEY,
    ledger        text        NOT NULL,
    subtask       int         NOT NULL,
    attempt       uuid        NOT NULL,
    checkpoint_id bigint,                        -- null until a checkpoint contains the epoch
    chunks        int         NOT NULL,
    rows          bigint      NOT NULL,
    staged_at     timestamptz NOT NULL DEFAULT now(),
    committed_at  timestamptz,
    inserted      bigint                         -- of those rows, the ones that were new to the ledger
);

CREATE INDEX epochs_pending ON staging.epochs (ledger, subtask) WHERE committed_at IS NULL;
CREATE INDEX epochs_committed ON staging.epochs (committed_at) WHERE committed_at IS NOT NULL;

COMMENT ON SCHEMA staging IS 'Rows that a job has written and no checkpoint has committed yet; its sink keeps it tidy.';
