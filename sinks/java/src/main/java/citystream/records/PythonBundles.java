package citystream.records;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.OperatorChain;
import org.apache.flink.streaming.runtime.tasks.StreamOperatorWrapper;
import org.apache.flink.streaming.runtime.tasks.StreamTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets every record pass, and sees to it that the bundle of the Python operator before it is over when the task's state
 * is closed.
 *
 * <p>A task that is cancelled closes its operators in whatever bundle they are. All Python operators of a slot share
 * one Python process (PyFlink 2.2.1), so that this one goes on while another task of the slot still has it, and asks
 * for state: of a RocksDB that is closed, which ends the whole TaskManager with a segmentation fault. Flink closes a
 * chain's operators from last to first; this one waits in its turn until the bundle is finished, as before a
 * checkpoint. Where the Python process is dead there is nobody to wait for.
 *
 * <p>It has to be chained behind every Python operator with keyed state.
 */
public class PythonBundles<T> extends AbstractStreamOperator<T> implements OneInputStreamOperator<T, T> {
    private static final long serialVersionUID = 1;

    private static final Logger LOG = LoggerFactory.getLogger(PythonBundles.class);
    private static final String RUNNER = "pythonFunctionRunner";
    // PyFlink finishes bundles in this thread, one after the other.
    private static final String FINISHING = "flushThreadPool";
    private static final long BUNDLE_SECONDS = 30;

    private transient List<StreamOperator<?>> operators;

    @Override
    public void open() throws Exception {
        super.open();
        operators = new ArrayList<>();
        Field chain = StreamTask.class.getDeclaredField("operatorChain");
        chain.setAccessible(true);
        for (StreamOperatorWrapper<?, ?> each :
                ((OperatorChain<?, ?>) chain.get(getContainingTask())).getAllOperators()) {
            operators.add(each.getStreamOperator());
        }
    }

    /** The operators of this one's chain. */
    final List<StreamOperator<?>> operators() {
        return operators;
    }

    @Override
    public void processElement(StreamRecord<T> record) {
        output.collect(record);
    }

    @Override
    public void close() throws Exception {
        if (operators != null) {
            for (StreamOperator<?> operator : operators) {
                finishBundle(operator);
            }
        }
        super.close();
    }

    private static void finishBundle(StreamOperator<?> operator)
            throws ReflectiveOperationException, InterruptedException {
        Object runner = value(operator, RUNNER);
        ExecutorService finishing = (ExecutorService) value(operator, FINISHING);
        if (runner == null || finishing == null) {
            return; // not of Python, of Python in the JVM's own threads, or not open yet
        }
        Method flush = runner.getClass().getMethod("flush");
        flush.setAccessible(true);
        try {
            finishing.submit(() -> flush.invoke(runner)).get(BUNDLE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException gone) {
            LOG.info(
                    "The last bundle of a Python worker came to no end: {}",
                    String.valueOf(gone.getCause().getCause()));
        } catch (TimeoutException hangs) {
            LOG.warn("A Python worker did not finish its last bundle within {} s", BUNDLE_SECONDS);
        }
    }

    /** What a private field of an operator, or of what it extends, holds; null where there is no such field. */
    private static Object value(StreamOperator<?> operator, String name) throws IllegalAccessException {
        for (Class<?> each = operator.getClass(); each != null; each = each.getSuperclass()) {
            try {
                Field found = each.getDeclaredField(name);
                found.setAccessible(true);
                return found.get(operator);
            } catch (NoSuchFieldException inAnother) {
                continue;
            }
        }
        return null;
    }
}
