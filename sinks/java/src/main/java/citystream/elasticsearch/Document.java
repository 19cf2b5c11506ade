package citystream.elasticsearch;

import java.io.Serializable;

/**
 * One document on its way to Elasticsearch.
 *
 * @param id the document's {@code _id}; empty when the row had none, which Elasticsearch rejects
 * @param version the external version; -1 when the row had none, which Elasticsearch rejects
 * @param body the document as UTF-8 JSON on one line
 * @param source where the record came from, for dead letters
 * @param attempts how often Elasticsearch has asked to try again; not kept in state
 */
record Document(String id, long version, byte[] body, Source source, int attempts) implements Serializable {

    /** A position in a Kafka topic; what is not known is null. */
    record Source(String topic, Integer partition, Long offset) implements Serializable {
        static final Source UNKNOWN = new Source(null, null, null);
    }

    Document again() {
        return new Document(id, version, body, source, attempts + 1);
    }

    /** What it takes in a bulk request, about. */
    long size() {
        return body.length + id.length() + 70L;
    }

    /** Without the body, which may hold what does not belong into a log. */
    @Override
    public String toString() {
        return "Document[" + id + ", version " + version + "]";
    }
}
