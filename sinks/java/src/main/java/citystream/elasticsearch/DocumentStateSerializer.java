package citystream.elasticsearch;

import citystream.elasticsearch.Document.Source;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.base.sink.writer.AsyncSinkWriterStateSerializer;

/** Documents that a checkpoint found waiting in the buffer. */
final class DocumentStateSerializer extends AsyncSinkWriterStateSerializer<Document> {

    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    protected void serializeRequestToStream(Document document, DataOutputStream out) throws IOException {
        writeBytes(document.id().getBytes(StandardCharsets.UTF_8), out);
        out.writeLong(document.version());
        writeBytes(document.body(), out);
        Source source = document.source();
        out.writeBoolean(source.topic() != null);
        if (source.topic() != null) {
            out.writeUTF(source.topic());
            out.writeInt(source.partition() == null ? -1 : source.partition());
            out.writeLong(source.offset() == null ? -1 : source.offset());
        }
    }

    @Override
    protected Document deserializeRequestFromStream(long size, DataInputStream in) throws IOException {
        String id = new String(readBytes(in), StandardCharsets.UTF_8);
        long version = in.readLong();
        byte[] body = readBytes(in);
        if (!in.readBoolean()) {
            return new Document(id, version, body, Source.UNKNOWN, 0);
        }
        String topic = in.readUTF();
        int partition = in.readInt();
        long offset = in.readLong();
        Source source = new Source(topic, partition < 0 ? null : partition, offset < 0 ? null : offset);
        return new Document(id, version, body, source, 0);
    }

    private static void writeBytes(byte[] bytes, DataOutputStream out) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private static byte[] readBytes(DataInputStream in) throws IOException {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        return bytes;
    }
}
