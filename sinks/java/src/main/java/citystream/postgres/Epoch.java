package citystream.postgres;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * The rows that one writer staged for one checkpoint: what the ledger's committer is asked to move.
 *
 * @param token names the epoch in {@code staging.epochs} and its staging table
 * @param rows how many rows it has; 0 when it only carries orphans
 * @param oldestMillis the time of its oldest row, {@link #NO_TIME} where rows carry none
 * @param orphans tokens of older attempts' epochs that no checkpoint will ask for once this one is committed
 */
record Epoch(String token, long rows, long oldestMillis, List<String> orphans) {
    static final long NO_TIME = Long.MAX_VALUE;

    /** Version 1: token, rows, oldestMillis, number of orphans, orphans. */
    static final class Serializer implements SimpleVersionedSerializer<Epoch> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Epoch epoch) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            out.writeUTF(epoch.token);
            out.writeLong(epoch.rows);
            out.writeLong(epoch.oldestMillis);
            out.writeInt(epoch.orphans.size());
            for (String orphan : epoch.orphans) {
                out.writeUTF(orphan);
            }
            return bytes.toByteArray();
        }

        @Override
        public Epoch deserialize(int version, byte[] serialized) throws IOException {
            if (version != getVersion()) {
                throw new IOException(
                        "The checkpoint holds epochs of version %d and this jar reads version %d: resume it with the jar that wrote it"
                                .formatted(version, getVersion()));
            }
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(serialized));
            String token = in.readUTF();
            long rows = in.readLong();
            long oldestMillis = in.readLong();
            List<String> orphans = new ArrayList<>();
            for (int left = in.readInt(); left > 0; left--) {
                orphans.add(in.readUTF());
            }
            return new Epoch(token, rows, oldestMillis, List.copyOf(orphans));
        }
    }
}
