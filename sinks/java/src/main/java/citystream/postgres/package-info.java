/**
 * PostgreSQL sinks: the {@linkplain citystream.postgres.StagedCommitSink ledger}, exactly once, and
 * {@linkplain citystream.postgres.UpsertSink totals}, at least once with an exactly-once result. Both send rows with
 * COPY; both wait out a server that is away and never drop a row.
 */
package citystream.postgres;
