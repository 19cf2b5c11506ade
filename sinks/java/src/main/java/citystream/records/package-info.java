/**
 * What happens to every record once, in the JVM, whatever the stream: decode it without ever failing or dropping
 * ({@code record-json}), send what is broken to the dead letters ({@link citystream.records.DeadLetterGate}), keep the
 * first per key ({@link citystream.records.FirstPerKey}) and add up before Python sees it
 * ({@link citystream.records.Combiner}).
 */
package citystream.records;
