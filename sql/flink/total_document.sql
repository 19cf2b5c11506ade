-- A total as a document: its key is the id, its version the document's.
SELECT ${id} AS _id, version AS _version, * FROM ${total}
