package citystream.state;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import org.junit.jupiter.api.Test;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;
import org.rocksdb.RocksDB;

class LogsBesideDataTest {
    static {
        RocksDB.loadLibrary();
    }

    @Test
    void noOtherFolderIsNamed() {
        try (DBOptions options = new DBOptions().setDbLogDir("/a/folder/for/logs");
                ColumnFamilyOptions columns = new ColumnFamilyOptions()) {
            LogsBesideData factory = new LogsBesideData();
            assertThat(factory.createDBOptions(options, new ArrayList<>()).dbLogDir())
                    .isEmpty();
            assertThat(factory.createColumnOptions(columns, new ArrayList<>())).isSameAs(columns);
        }
    }
}
