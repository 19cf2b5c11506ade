package citystream.state;

import java.util.Collection;
import org.apache.flink.state.rocksdb.RocksDBOptionsFactory;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;

/**
 * RocksDB's own logs lie beside its data, and go with it.
 *
 * <p>Flink puts them all into its log folder, in files named after the whole path of the database. Where a job is
 * restored from an incremental checkpoint with another parallelism, that is a path for a moment that Flink does not
 * measure first: the name is longer than a file's may be, and the job fails again and again.
 */
public final class LogsBesideData implements RocksDBOptionsFactory {
    private static final long serialVersionUID = 1;

    @Override
    public DBOptions createDBOptions(DBOptions options, Collection<AutoCloseable> handles) {
        return options.setDbLogDir("");
    }

    @Override
    public ColumnFamilyOptions createColumnOptions(ColumnFamilyOptions options, Collection<AutoCloseable> handles) {
        return options;
    }
}
