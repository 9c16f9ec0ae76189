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
    private static final LongAccumulator STARTED = new LongAccumulator(Math::min, Long.MAX_VALUE);
    private static final LongAccumulator ENDED = new LongAccumulator(Math::max, Long.MIN_VALUE);

    static void reset() {
        COUNT.reset();
        HASH.reset();
        STARTED.reset();
        ENDED.reset();
    }

    static void started() {
        STARTED.accumulate(System.nanoTime());
    }

    static double seconds() {
        return (ENDED.get() - STARTED.get()) / 1e9;
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
            long h = mix(row.getTimestamp(1, 3).getMillisecond() * 1000L);
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
