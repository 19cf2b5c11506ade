package citystream.postgres;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A TCP proxy in front of PostgreSQL that breaks at chosen moments: when certain bytes pass, or for as long as it is
 * told to.
 */
final class UnreliableNetwork implements AutoCloseable {
    enum From {
        CLIENT,
        SERVER
    }

    /** Waits for bytes from one side; the packet that has them is held back, for good or until released. */
    static final class Trap {
        private final From from;
        private final String bytes;
        private final boolean cut;
        private final CountDownLatch sprung = new CountDownLatch(1);
        private final CountDownLatch released = new CountDownLatch(1);

        private Trap(From from, String bytes, boolean cut) {
            this.from = from;
            this.bytes = bytes;
            this.cut = cut;
        }

        void awaitSprung() throws InterruptedException {
            if (!sprung.await(30, TimeUnit.SECONDS)) {
                throw new AssertionError("Nothing with '%s' came from the %s".formatted(bytes, from));
            }
        }

        void release() {
            released.countDown();
        }
    }

    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final CountDownLatch refusedSome = new CountDownLatch(3);
    private volatile Trap trap;
    private volatile boolean down;

    UnreliableNetwork(TestPostgres postgres) throws IOException {
        start("proxy", () -> {
            while (true) {
                Socket client = listener.accept();
                if (down) {
                    refusedSome.countDown();
                    client.close();
                    continue;
                }
                Socket server = new Socket(postgres.host, postgres.port);
                sockets.add(client);
                sockets.add(server);
                start("proxy to the server", () -> pump(From.CLIENT, client, server));
                start("proxy to the client", () -> pump(From.SERVER, server, client));
            }
        });
    }

    int port() {
        return listener.getLocalPort();
    }

    /** The next packet of that side with these bytes is lost, and the connection with it. */
    Trap cutOn(From from, String bytes) {
        return trap = new Trap(from, bytes, true);
    }

    /** The next packet of that side with these bytes waits until it is released. */
    Trap holdOn(From from, String bytes) {
        return trap = new Trap(from, bytes, false);
    }

    /** Cuts every connection and refuses new ones. */
    void goDown() throws IOException {
        down = true;
        cutAll();
    }

    void comeUp() {
        down = false;
    }

    void awaitRefusals() throws InterruptedException {
        if (!refusedSome.await(30, TimeUnit.SECONDS)) {
            throw new AssertionError("Nobody tried to connect again");
        }
    }

    void cutAll() throws IOException {
        for (Socket socket : sockets) {
            socket.close();
        }
        sockets.clear();
    }

    private void pump(From from, Socket in, Socket out) throws Exception {
        try (in;
                out) {
            InputStream source = in.getInputStream();
            OutputStream target = out.getOutputStream();
            byte[] packet = new byte[1 << 16];
            for (int size = source.read(packet); size >= 0; size = source.read(packet)) {
                Trap set = trap;
                if (set != null
                        && set.from == from
                        && new String(packet, 0, size, StandardCharsets.ISO_8859_1).contains(set.bytes)) {
                    trap = null;
                    set.sprung.countDown();
                    if (set.cut) {
                        return;
                    }
                    set.released.await();
                }
                target.write(packet, 0, size);
                target.flush();
            }
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cutAll();
    }

    private interface Task {
        void run() throws Exception;
    }

    private static void start(String name, Task task) {
        Thread thread = new Thread(
                () -> {
                    try {
                        task.run();
                    } catch (Exception e) {
                        // A cut connection: what this class is for.
                    }
                },
                name);
        thread.setDaemon(true);
        thread.start();
    }
}
