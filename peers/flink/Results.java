import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.table.data.RowData;

/** The sink: what all subtasks' results come to, and the clock. */
final class Results implements Sink<RowData> {
    static final LongAdder COUNT = new LongAdder();
    static final LongAdder HASH = new LongAdder();
    static final LongAdder CHECKPOINTS = new LongAdder();
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final LongAccumulator STARTED = new LongAccumulator(Math::min, Long.MAX_VALUE);
    private static final LongAccumulator STARTED_CPU = new LongAccumulator(Math::min, Long.MAX_VALUE);
    private static final LongAccumulator ENDED = new LongAccumulator(Math::max, Long.MIN_VALUE);
    private static final LongAccumulator ENDED_CPU = new LongAccumulator(Math::max, Long.MIN_VALUE);

    static void reset() {
        COUNT.reset();
        HASH.reset();
        CHECKPOINTS.reset();
        STARTED.reset();
        STARTED_CPU.reset();
        ENDED.reset();
        ENDED_CPU.reset();
    }

    static void started() {
        STARTED.accumulate(System.nanoTime());
        STARTED_CPU.accumulate(SYSTEM.getProcessCpuTime());
    }

    static double seconds() {
        return (ENDED.get() - STARTED.get()) / 1e9;
    }

    static double cpuSeconds() {
        return (ENDED_CPU.get() - STARTED_CPU.get()) / 1e9;
    }

    @Override
    public SinkWriter<RowData> createWriter(WriterInitContext context) {
        return new Writer();
    }

    private static final class Writer implements SinkWriter<RowData> {
        private long count;
        private long hash;
        private long ended = Long.MIN_VALUE;

        @Override
        public void write(RowData row, Context context) {
            long end = row.getTimestamp(1, 3).getMillisecond();
            if (Rate.isSet()) {
                Rate.result(end);
            }
            long h = mix(end * 1000L);
            h = mix(h ^ row.getInt(0));
            h = mix(h ^ row.getLong(2));
            h = mix(h ^ row.getLong(3));
            h = mix(h ^ row.getLong(4));
            hash += h;
            count++;
        }

        /** The watermark that completes windows follows at the heels of their rows, so that the clock need not be read for each row. */
        @Override
        public void writeWatermark(Watermark watermark) {
            ended = System.nanoTime();
        }

        @Override
        public void flush(boolean endOfInput) {
            if (endOfInput) {
                COUNT.add(count);
                HASH.add(hash);
                ENDED.accumulate(ended);
                ENDED_CPU.accumulate(SYSTEM.getProcessCpuTime());
            }
        }

        @Override
        public void close() {}
    }

    private static long mix(long z) {
        z ^= z >>> 30;
        z *= 0xbf58476d1ce4e5b9L;
        z ^= z >>> 27;
        z *= 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
