import java.util.Optional;
import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsWatermarkPushDown;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.Factory;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;

/** A catalog of which each table reads {@link Rows} or writes {@link Results}: with it, these need no registration as a connector. */
final class Tables extends GenericInMemoryCatalog {
    Tables() {
        super("peer");
    }

    @Override
    public Optional<Factory> getFactory() {
        return Optional.of(new TableFactory());
    }

    private static final class TableFactory implements DynamicTableSourceFactory, DynamicTableSinkFactory {
        @Override
        public DynamicTableSource createDynamicTableSource(Context context) {
            return new TableSource(context.getPhysicalRowDataType());
        }

        @Override
        public DynamicTableSink createDynamicTableSink(Context context) {
            return new TableSink();
        }

        @Override
        public String factoryIdentifier() {
            return "peer";
        }

        @Override
        public Set<ConfigOption<?>> requiredOptions() {
            return Set.of();
        }

        @Override
        public Set<ConfigOption<?>> optionalOptions() {
            return Set.of();
        }
    }

    /** Takes the watermark upon itself, as Flink's connectors do: it then costs no operator of its own. */
    private static final class TableSource implements ScanTableSource, SupportsWatermarkPushDown, DataStreamScanProvider {
        private final DataType type;
        private WatermarkStrategy<RowData> watermark = WatermarkStrategy.noWatermarks();

        TableSource(DataType type) {
            this.type = type;
        }

        @Override
        public void applyWatermark(WatermarkStrategy<RowData> strategy) {
            watermark = strategy;
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return this;
        }

        @Override
        public DataStream<RowData> produceDataStream(ProviderContext context, StreamExecutionEnvironment environment) {
            return environment.fromSource(new Rows(), watermark, "payments", InternalTypeInfo.of(type.getLogicalType()));
        }

        @Override
        public boolean isBounded() {
            return true;
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public DynamicTableSource copy() {
            TableSource copy = new TableSource(type);
            copy.watermark = watermark;
            return copy;
        }

        @Override
        public String asSummaryString() {
            return "payments";
        }
    }

    private static final class TableSink implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            return ChangelogMode.insertOnly();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(new Results());
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "results";
        }
    }
}
