package citystream.stack;

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.ProtectionDomain;
import java.util.Arrays;

/**
 * A Java agent: an address that names a port and no host is one of this machine's loopback interface, not of all its
 * interfaces.
 *
 * <p>PyFlink's servers for its Python workers, which hand out any file without asking who wants it, and the Prometheus
 * reporter listen on such addresses, and neither has a setting. Both write {@code new InetSocketAddress(port)}; that
 * class asks {@code InetAddress.anyLocalAddress()}, and with this agent {@code InetAddress.getLoopbackAddress()}.
 */
public final class LoopbackOnly implements ClassFileTransformer {
    private static final byte[] ANY = constant("anyLocalAddress");
    private static final byte[] LOOPBACK = constant("getLoopbackAddress");

    private LoopbackOnly() {}

    /** Called before {@code main}; a Java that can't be changed so does not start. */
    public static void premain(String arguments, Instrumentation java) throws Exception {
        Class<?> changed = InetSocketAddress.class; // loaded before the agent sees what is loaded
        LoopbackOnly agent = new LoopbackOnly();
        java.addTransformer(agent, true);
        java.retransformClasses(changed);
        java.removeTransformer(agent);
        if (!new InetSocketAddress(0).getAddress().isLoopbackAddress()) {
            throw new IllegalStateException("This Java's InetSocketAddress can't be kept to the loopback interface");
        }
    }

    @Override
    public byte[] transform(
            ClassLoader loader, String name, Class<?> known, ProtectionDomain domain, byte[] classFile) {
        if (!"java/net/InetSocketAddress".equals(name)) {
            return null;
        }
        for (int at = 0; at + ANY.length <= classFile.length; at++) {
            if (Arrays.equals(classFile, at, at + ANY.length, ANY, 0, ANY.length)) {
                byte[] changed = new byte[classFile.length - ANY.length + LOOPBACK.length];
                System.arraycopy(classFile, 0, changed, 0, at);
                System.arraycopy(LOOPBACK, 0, changed, at, LOOPBACK.length);
                int rest = at + ANY.length;
                System.arraycopy(classFile, rest, changed, at + LOOPBACK.length, classFile.length - rest);
                return changed;
            }
        }
        return null;
    }

    /** A text as it stands in a class file's constants: tag, length, the text. */
    private static byte[] constant(String text) {
        byte[] letters = text.getBytes(StandardCharsets.US_ASCII);
        byte[] entry = new byte[letters.length + 3];
        entry[0] = 1;
        entry[2] = (byte) letters.length;
        System.arraycopy(letters, 0, entry, 3, letters.length);
        return entry;
    }
}
