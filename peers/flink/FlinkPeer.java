import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** The metric in Flink SQL, on a cluster inside this process. */
public final class FlinkPeer {
    private static final Map<String, String> WINDOWS = Map.of(
            "hop", "HOP(TABLE payments, DESCRIPTOR(event_time), INTERVAL '1' SECOND, INTERVAL '1' MINUTE)",
            "tumble10", "TUMBLE(TABLE payments, DESCRIPTOR(event_time), INTERVAL '10' SECOND)",
            "tumble1", "TUMBLE(TABLE payments, DESCRIPTOR(event_time), INTERVAL '1' SECOND)");

    // Flink takes a row whose time equals the watermark for late, the metric does not; and times cut down to milliseconds can be a whole 50 ms apart. Hence 51.
    private static final String PAYMENTS = """
            CREATE TABLE payments (
                channel INT NOT NULL, status TINYINT NOT NULL, amount BIGINT NOT NULL, event_time TIMESTAMP(3) NOT NULL,
                WATERMARK FOR event_time AS event_time - INTERVAL '0.051' SECOND
            )""";

    private static final String RESULTS = """
            CREATE TABLE results (
                channel INT, window_end TIMESTAMP(3), payments BIGINT, successes BIGINT, volume BIGINT
            )""";

    private static final String METRIC = """
            INSERT INTO results
            SELECT   channel, window_end, COUNT(*), COUNT(*) FILTER (WHERE status = 0), SUM(amount)
            FROM     TABLE(%s)
            WHERE    amount > 0
            GROUP BY channel, window_start, window_end""";

    private static final int MANAGED_MIB = 512;

    public static void main(String[] args) throws Exception {
        // Standard output is for the results alone, whatever a library prints.
        PrintStream out = System.out;
        System.setOut(System.err);

        Map<String, String> given = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            given.put(args[i], args[i + 1]);
        }
        String window = WINDOWS.get(given.get("--query"));
        if (window == null) {
            throw new IllegalArgumentException("--query takes " + WINDOWS.keySet());
        }
        int rows = Integer.parseInt(given.get("--rows"));
        int threads = Integer.parseInt(given.get("--threads"));
        int passes = Integer.parseInt(given.getOrDefault("--passes", "1"));
        int runs = Integer.parseInt(given.getOrDefault("--runs", "1"));
        long rate = Long.parseLong(given.getOrDefault("--rate", "0"));
        if (rate > 0 && (passes > 1 || !given.get("--query").equals("hop"))) {
            throw new IllegalArgumentException("--rate is for --query hop and one pass");
        }
        long checkpointMillis = Long.parseLong(given.getOrDefault("--checkpoint", "0"));

        Rows.load(Path.of(given.get("--input")), rows, passes, rate);
        for (int run = 0; run < runs; run++) {
            Path checkpoints = checkpointMillis > 0 ? Files.createTempDirectory("flink-peer") : null;
            Results.reset();
            execute(window, configuration(threads, checkpointMillis, checkpoints));
            if (Rate.isSet()) {
                out.printf(
                        "{\"peer\": \"Apache Flink\", \"settings\": \"%s\", \"run\": %d, \"rows\": %d, \"results\": %d, %s, \"cpu_seconds\": %.2f, \"checkpoints\": %d}%n",
                        settings(threads, checkpointMillis), run, rows, Results.COUNT.sum(), Rate.percentiles(), Results.cpuSeconds(), Results.CHECKPOINTS.sum());
            } else {
                out.printf(
                        "{\"peer\": \"Apache Flink\", \"version\": \"%s\", \"settings\": \"%s\", \"run\": %d, \"rows\": %d, \"passes\": %d, \"results\": %d, \"hash\": \"%016x\", \"seconds\": %.6f, \"cpu_seconds\": %.2f%s}%n",
                        EnvironmentInformation.getVersion(), settings(threads, checkpointMillis), run, rows, passes, Results.COUNT.sum(), Results.HASH.sum(), Results.seconds(),
                        Results.cpuSeconds(), checkpoints == null ? "" : ", \"checkpoints\": " + Results.CHECKPOINTS.sum());
            }
            out.flush();
            if (checkpoints != null) {
                delete(checkpoints);
            }
        }
    }

    // What replaces the deprecated call makes a catalog from options, by a factory that would have to be registered.
    @SuppressWarnings("deprecation")
    private static void execute(String window, Configuration configuration) throws Exception {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        tables.registerCatalog("peer", new Tables());
        tables.useCatalog("peer");
        tables.executeSql(PAYMENTS);
        tables.executeSql(RESULTS);
        tables.executeSql(METRIC.formatted(window)).await();
    }

    private static Configuration configuration(int threads, long checkpointMillis, Path checkpoints) {
        Map<String, String> options = new HashMap<>();
        options.put("parallelism.default", Integer.toString(threads));
        options.put("taskmanager.numberOfTaskSlots", Integer.toString(threads));
        options.put("pipeline.object-reuse", "true");
        options.put("table.local-time-zone", "UTC");
        options.put("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        // Both phases of a window's aggregation collect rows in managed memory before they combine them: what mini-batches are to other aggregations, and always on.
        options.put("taskmanager.memory.managed.size", MANAGED_MIB * threads + "m");
        options.put("taskmanager.memory.network.min", "256m");
        options.put("taskmanager.memory.network.max", "256m");
        options.put("state.backend.type", "hashmap");
        if (Rate.isSet()) {
            // A result is to come as soon as it can.
            options.put("execution.buffer-timeout.interval", "1 ms");
            options.put("pipeline.auto-watermark-interval", "1 ms");
        } else {
            // A buffer is sent when it is full, and not after a time.
            options.put("execution.buffer-timeout.enabled", "false");
        }
        // A run that fails must not pass for a slow one.
        options.put("restart-strategy.type", "none");
        if (checkpoints != null) {
            options.put("execution.checkpointing.mode", "EXACTLY_ONCE");
            options.put("execution.checkpointing.interval", checkpointMillis + " ms");
            options.put("execution.checkpointing.dir", checkpoints.toUri().toString());
        }
        return Configuration.fromMap(options);
    }

    private static String settings(int threads, long checkpointMillis) {
        return "SQL window table function on a local cluster in streaming mode, parallelism %d, object reuse, two-phase aggregation, %d MiB of managed memory per slot, hashmap state, %s, %s, Java %s, %d MiB heap, %s"
                .formatted(
                        threads,
                        MANAGED_MIB,
                        Rate.isSet() ? "watermark in the source every millisecond, buffers sent after a millisecond at the latest" : "watermark in the source every 200 ms, buffers sent when full (no buffer timeout)",
                        checkpointMillis > 0 ? "exactly-once checkpoint every " + checkpointMillis + " ms" : "no checkpoints",
                        System.getProperty("java.version"),
                        Runtime.getRuntime().maxMemory() >> 20,
                        ManagementFactory.getGarbageCollectorMXBeans().get(0).getName());
    }

    private static void delete(Path directory) throws Exception {
        List<Path> paths;
        try (var walk = Files.walk(directory)) {
            paths = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path path : paths) {
            Files.deleteIfExists(path);
        }
    }
}
