package citystream.elasticsearch;

/**
 * What became of one document.
 *
 * @param kind what follows
 * @param detail the reason, in Elasticsearch's words or in a sentence that says what to change; null when stored
 */
record Verdict(Kind kind, String detail) {

    enum Kind {
        /** It is in the index. */
        STORED,
        /** The index has a newer version: done as well. */
        NEWER,
        /** The server can't take it now. */
        AGAIN,
        /** It will never take this document. */
        REJECTED,
        /** It will take none of them before somebody changes something. */
        REFUSED
    }

    static final Verdict STORED = new Verdict(Kind.STORED, null);
    static final Verdict NEWER = new Verdict(Kind.NEWER, null);

    static Verdict again(String detail) {
        return new Verdict(Kind.AGAIN, detail);
    }

    static Verdict rejected(String detail) {
        return new Verdict(Kind.REJECTED, detail);
    }

    static Verdict refused(String remedy) {
        return new Verdict(Kind.REFUSED, remedy);
    }
}
