package citystream.elasticsearch;

import java.io.IOException;
import org.apache.flink.runtime.throwable.ThrowableAnnotation;
import org.apache.flink.runtime.throwable.ThrowableType;

/** Elasticsearch takes nothing from this job; the message says what to change. Restarting would not help. */
@ThrowableAnnotation(ThrowableType.NonRecoverableError)
public final class ElasticsearchRefusal extends IOException {

    ElasticsearchRefusal(String remedy) {
        super(remedy);
    }
}
