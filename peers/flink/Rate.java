import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * An open loop: so many rows a second, each due at its time, whether or not Flink was ready for it, and event time goes at the same pace as the clock. A result's latency is from when the
 * row was due that closes its window, which is the first one that is as late as rows may be behind the window's end.
 */
final class Rate {
    private static final long LATENESS_MICROS = 50_000;
    /** What happens before is not counted: the JVM compiles, and windows fill. */
    private static final long WARM_UP_NANOS = TimeUnit.SECONDS.toNanos(60);
    /** A source that has no row that is due looks again after this. */
    private static final long PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(200);

    private static final AtomicLong STARTED = new AtomicLong();
    private static final ScheduledExecutorService TIMER = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "rate");
        thread.setDaemon(true);
        return thread;
    });

    /** Rows per second; 0: as fast as may be. */
    private static long rate;
    /** Event times in microseconds: when windows begin, and the first row as late as that. */
    private static long originMicros;
    private static long[] closingRows;
    private static long[] latencies = new long[1 << 20];
    private static int counted;

    /** Lets event time go at the pace of the clock. Times stay as far behind as they were. */
    static void set(long rowsPerSecond, long[] eventMicros) {
        rate = rowsPerSecond;
        originMicros = Math.floorDiv(eventMicros[0] + LATENESS_MICROS, 1_000_000L) * 1_000_000L;
        closingRows = new long[(int) (eventMicros.length / rate + 2)];
        Arrays.fill(closingRows, -1);
        long highest = Long.MIN_VALUE;
        for (int row = 0; row < eventMicros.length; row++) {
            long behind = originMicros + row - eventMicros[row];
            eventMicros[row] = originMicros + row * 1_000_000L / rate - behind;
            if (eventMicros[row] > highest) {
                highest = eventMicros[row];
                long second = Math.floorDiv(highest - LATENESS_MICROS - originMicros, 1_000_000L);
                for (int closed = (int) second; closed >= 0 && closingRows[closed] < 0; closed--) {
                    closingRows[closed] = row;
                }
            }
        }
    }

    static boolean isSet() {
        return rate > 0;
    }

    static boolean isDue(long row) {
        return System.nanoTime() - started() >= dueNanos(row);
    }

    static CompletableFuture<Void> pause() {
        CompletableFuture<Void> over = new CompletableFuture<>();
        TIMER.schedule(() -> over.complete(null), PAUSE_NANOS, TimeUnit.NANOSECONDS);
        return over;
    }

    /** A result of the window that ends at this time has come. */
    static synchronized void result(long windowEndMillis) {
        long second = Math.floorDiv(windowEndMillis * 1000L - originMicros, 1_000_000L);
        // Windows that only the end of the input closes are left out.
        if (second < 0 || second >= closingRows.length || closingRows[(int) second] < 0) {
            return;
        }
        long due = dueNanos(closingRows[(int) second]);
        if (due < WARM_UP_NANOS) {
            return;
        }
        if (counted == latencies.length) {
            latencies = Arrays.copyOf(latencies, 2 * counted);
        }
        latencies[counted++] = System.nanoTime() - started() - due;
    }

    /** As members of a JSON object. */
    static synchronized String percentiles() {
        Arrays.sort(latencies, 0, counted);
        String text = "\"rate\": %d, \"counted\": %d, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"p99_99_ms\": %.2f, \"max_ms\": %.2f"
                .formatted(rate, counted, millis(0.5), millis(0.99), millis(0.9999), millis(1.0));
        counted = 0;
        STARTED.set(0);
        return text;
    }

    private static double millis(double part) {
        return counted == 0 ? Double.NaN : latencies[(int) Math.min(counted - 1, (long) (part * counted))] / 1e6;
    }

    private static long dueNanos(long row) {
        return row * 1_000_000_000L / rate;
    }

    private static long started() {
        long started = STARTED.get();
        if (started == 0) {
            STARTED.compareAndSet(0, System.nanoTime());
            started = STARTED.get();
        }
        return started;
    }

    private Rate() {}
}
