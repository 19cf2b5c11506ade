import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** An agent that keeps a running Java's heap nearly full, until the file that it is given is gone. */
public final class HeapFilled {
    private static final double SHARE = 0.93;
    private static final List<byte[]> HELD = new ArrayList<>();

    private HeapFilled() {}

    /** Called when it is loaded. */
    public static void agentmain(String file) {
        Thread thread = new Thread(() -> hold(new File(file)), "heap-filled");
        thread.setDaemon(true);
        thread.start();
    }

    private static void hold(File file) {
        Runtime java = Runtime.getRuntime();
        System.gc();
        while (java.totalMemory() - java.freeMemory() < SHARE * java.maxMemory()) {
            HELD.add(new byte[256 * 1024]);
        }
        try {
            while (file.exists()) {
                Thread.sleep(200);
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        HELD.clear();
        System.gc();
    }
}
