package citystream.records;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.operators.StreamOperator;

/**
 * As {@link PythonBundles}, and sees to it that a checkpoint contains the timers of the Python operator before it.
 *
 * <p>A timer that Python sets reaches the task as a mail. Before a checkpoint the Python operator finishes its bundle,
 * so its state is complete, but the mails it has just caused are read after the snapshot (PyFlink 2.2.1): a window
 * restored from that checkpoint holds its records and never fires. PyFlink has a method that registers timers at once,
 * and calls it for watermarks only. This calls it before each snapshot; a mail that comes later finds its timer
 * registered.
 *
 * <p>It has to be chained behind every Python operator that sets timers or has windows.
 */
public final class PythonTimers<T> extends PythonBundles<T> {
    private static final long serialVersionUID = 1L;

    static final String REGISTER = "drainUnregisteredTimers";

    private transient List<Runnable> registrations;

    @Override
    public void open() throws Exception {
        super.open();
        registrations = new ArrayList<>();
        for (StreamOperator<?> operator : operators()) {
            Method register = method(operator.getClass());
            if (register != null) {
                registrations.add(() -> call(register, operator));
            }
        }
        if (registrations.isEmpty()) {
            throw new IllegalStateException("No operator with the method " + REGISTER + " is chained with "
                    + getRuntimeContext().getTaskInfo().getTaskNameWithSubtasks()
                    + ": timers of Python would be missing in checkpoints. Is this another version of PyFlink?");
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        registrations.forEach(Runnable::run);
        super.prepareSnapshotPreBarrier(checkpointId);
    }

    /** The method of a Python operator, or null. */
    private static Method method(Class<?> operator) {
        for (Class<?> each = operator; each != null; each = each.getSuperclass()) {
            try {
                Method found = each.getDeclaredMethod(REGISTER);
                found.setAccessible(true);
                return found;
            } catch (NoSuchMethodException inAnother) {
                continue;
            }
        }
        return null;
    }

    private static void call(Method register, StreamOperator<?> operator) {
        try {
            register.invoke(operator);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException("The timers of a Python operator can't be registered", error);
        }
    }
}
