import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.columnar.ColumnarRowData;
import org.apache.flink.table.data.columnar.vector.ByteColumnVector;
import org.apache.flink.table.data.columnar.vector.ColumnVector;
import org.apache.flink.table.data.columnar.vector.IntColumnVector;
import org.apache.flink.table.data.columnar.vector.LongColumnVector;
import org.apache.flink.table.data.columnar.vector.TimestampColumnVector;
import org.apache.flink.table.data.columnar.vector.VectorizedColumnBatch;

/** The input: columns in memory, and the source that emits each subtask's share of their rows. Without a connector or a format, nothing but Flink's own work is on the clock. */
final class Rows implements Source<RowData, Rows.Share, Void> {
    private static int[] channels;
    private static byte[] statuses;
    private static long[] amounts;
    private static long[] eventTimes;
    /** How many rows all passes have, and what is added to event times from one pass to the next. */
    private static long total;
    private static long passMillis;

    static void load(Path directory, int rows, int passes, long rate) throws IOException {
        if (passes > 1 && rows % 1000 != 0) {
            throw new IllegalArgumentException("--rows takes a multiple of 1000 if there are more passes than one: a row is a microsecond long, and event time has milliseconds here");
        }
        total = (long) rows * passes;
        passMillis = rows / 1000;
        channels = new int[rows];
        statuses = new byte[rows];
        amounts = new long[rows];
        eventTimes = new long[rows];
        column(directory.resolve("channel.i32"), rows, 4, (at, bytes) -> channels[at] = bytes.getInt());
        column(directory.resolve("status.i8"), rows, 1, (at, bytes) -> statuses[at] = bytes.get());
        column(directory.resolve("amount.i64"), rows, 8, (at, bytes) -> amounts[at] = bytes.getLong());
        column(directory.resolve("event_time.i64"), rows, 8, (at, bytes) -> eventTimes[at] = bytes.getLong());
        if (rate > 0) {
            Rate.set(rate, eventTimes);
        }
        // A time that windows and watermarks go by has milliseconds in Flink. Windows begin at whole seconds, so that no row changes its window.
        Arrays.setAll(eventTimes, at -> Math.floorDiv(eventTimes[at], 1000L));
    }

    private interface Cell {
        void take(int at, ByteBuffer bytes);
    }

    private static void column(Path file, int rows, int width, Cell cell) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocateDirect(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel input = FileChannel.open(file)) {
            for (int at = 0; at < rows; ) {
                if (input.read(bytes) < 0) {
                    throw new EOFException(file + " has fewer than " + rows + " rows");
                }
                bytes.flip();
                for (; at < rows && bytes.remaining() >= width; at++) {
                    cell.take(at, bytes);
                }
                bytes.compact();
            }
        }
    }

    /** The rows of one subtask from {@code next} on, which counts through all passes, each as far from the one before it as there are subtasks: so all subtasks are at the same event time. */
    record Share(int subtask, long next) implements SourceSplit {
        @Override
        public String splitId() {
            return Integer.toString(subtask);
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public SourceReader<RowData, Share> createReader(SourceReaderContext context) {
        return new Reader(context.currentParallelism());
    }

    @Override
    public SplitEnumerator<Share, Void> createEnumerator(SplitEnumeratorContext<Share> context) {
        return new Enumerator(context);
    }

    @Override
    public SplitEnumerator<Share, Void> restoreEnumerator(SplitEnumeratorContext<Share> context, Void nothing) {
        return new Enumerator(context);
    }

    @Override
    public SimpleVersionedSerializer<Share> getSplitSerializer() {
        return new ShareSerializer();
    }

    @Override
    public SimpleVersionedSerializer<Void> getEnumeratorCheckpointSerializer() {
        return new NothingSerializer();
    }

    private static final class Reader implements SourceReader<RowData, Share> {
        private final int step;
        // A view of the columns, in the class that Flink's own readers of columnar formats emit.
        private final ColumnarRowData row;
        private final CompletableFuture<Void> assigned = new CompletableFuture<>();
        private final Columns columns = new Columns();
        private int subtask;
        private long next;
        // The place of the next row in the columns.
        private int at;

        Reader(int step) {
            this.step = step;
            row = new ColumnarRowData(new VectorizedColumnBatch(new ColumnVector[] {columns, columns, columns, columns}));
        }

        @Override
        public void addSplits(List<Share> shares) {
            subtask = shares.get(0).subtask();
            next = shares.get(0).next();
            at = (int) (next % channels.length);
            columns.shiftMillis = next / channels.length * passMillis;
            assigned.complete(null);
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return Rate.isSet() && assigned.isDone() ? Rate.pause() : assigned;
        }

        @Override
        public InputStatus pollNext(ReaderOutput<RowData> output) {
            if (!assigned.isDone()) {
                return InputStatus.NOTHING_AVAILABLE;
            }
            if (Rate.isSet() && !Rate.isDue(next)) {
                return InputStatus.NOTHING_AVAILABLE;
            }
            if (next == subtask) {
                Results.started();
            }
            if (next < total) {
                row.setRowId(at);
                output.collect(row);
                next += step;
                at += step;
                while (at >= channels.length) {
                    at -= channels.length;
                    columns.shiftMillis += passMillis;
                }
            }
            return next < total ? InputStatus.MORE_AVAILABLE : InputStatus.END_OF_INPUT;
        }

        @Override
        public List<Share> snapshotState(long checkpoint) {
            return assigned.isDone() ? List.of(new Share(subtask, next)) : List.of();
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            if (subtask == 0) {
                Results.CHECKPOINTS.increment();
            }
        }

        @Override
        public void start() {}

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {}
    }

    /** Gives each subtask its share when it has come up. */
    private record Enumerator(SplitEnumeratorContext<Share> context) implements SplitEnumerator<Share, Void> {
        @Override
        public void addReader(int subtask) {
            context.assignSplit(new Share(subtask, subtask), subtask);
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public void addSplitsBack(List<Share> shares, int subtask) {
            throw new UnsupportedOperationException("A run that failed is not resumed");
        }

        @Override
        public Void snapshotState(long checkpoint) {
            return null;
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public void close() {}
    }

    private static final class ShareSerializer implements SimpleVersionedSerializer<Share> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Share share) {
            return ByteBuffer.allocate(12).putInt(share.subtask()).putLong(share.next()).array();
        }

        @Override
        public Share deserialize(int version, byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new Share(buffer.getInt(), buffer.getLong());
        }
    }

    private static final class NothingSerializer implements SimpleVersionedSerializer<Void> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Void nothing) {
            return new byte[0];
        }

        @Override
        public Void deserialize(int version, byte[] bytes) {
            return null;
        }
    }

    /** All four columns: as no two have the same type, one class can stand for each, and calls of it stay monomorphic. */
    private static final class Columns implements IntColumnVector, ByteColumnVector, LongColumnVector, TimestampColumnVector {
        private long shiftMillis;

        @Override
        public int getInt(int at) {
            return channels[at];
        }

        @Override
        public byte getByte(int at) {
            return statuses[at];
        }

        @Override
        public long getLong(int at) {
            return amounts[at];
        }

        @Override
        public TimestampData getTimestamp(int at, int precision) {
            return TimestampData.fromEpochMillis(eventTimes[at] + shiftMillis);
        }

        @Override
        public boolean isNullAt(int at) {
            return false;
        }
    }
}
