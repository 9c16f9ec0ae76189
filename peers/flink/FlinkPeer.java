import java.io.PrintStream;
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
                channel INT NOT NULL, window_end TIMESTAMP(3) NOT NULL, payments BIGINT NOT NULL, successes BIGINT NOT NULL, volume BIGINT NOT NULL
            )""";

    private static final String METRIC = """
            INSERT INTO results
            SELECT   channel, window_end, COUNT(*), COUNT(*) FILTER (WHERE status = 0), SUM(amount)
            FROM     TABLE(%s)
            WHERE    amount > 0
            GROUP BY channel, window_start, window_end""";

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
        int runs = Integer.parseInt(given.getOrDefault("--runs", "1"));
        long checkpointMillis = Long.parseLong(given.getOrDefault("--checkpoint", "0"));

        Rows.load(Path.of(given.get("--input")), rows);
        for (int run = 0; run < runs; run++) {
            Path checkpoints = checkpointMillis > 0 ? Files.createTempDirectory("flink-peer") : null;
            Results.reset();
            execute(window, configuration(threads, checkpointMillis, checkpoints));
            out.printf(
                    "{\"peer\": \"Apache Flink\", \"version\": \"%s\", \"settings\": \"%s\", \"run\": %d, \"rows\": %d, \"results\": %d, \"hash\": \"%016x\", \"seconds\": %.6f}%n",
                    EnvironmentInformation.getVersion(), settings(threads, checkpointMillis), run, rows, Results.COUNT.sum(), Results.HASH.sum(), Results.seconds());
            if (checkpoints != null) {
                delete(checkpoints);
            }
        }
        // Threads that the cluster left behind are not waited for.
        System.exit(0);
    }

    private static void execute(String window, Configuration configuration) throws Exception {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        tables.registerCatalog("peer", new Tables());
        tables.useCatalog("peer");
        tables.executeSql(PAYMENTS);
        tables.executeSql(RESULTS);
        String metric = METRIC.formatted(window);
        if (Boolean.getBoolean("explain")) System.err.println(tables.explainSql(metric));
        tables.executeSql(metric).await();
    }

    private static Configuration configuration(int threads, long checkpointMillis, Path checkpoints) {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", Integer.toString(threads));
        configuration.setString("taskmanager.numberOfTaskSlots", Integer.toString(threads));
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("table.local-time-zone", "UTC");
        configuration.setString("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        // The memory in which both phases of a window's aggregation collect rows before they touch state.
        configuration.setString("taskmanager.memory.managed.size", 512 * threads + "m");
        configuration.setString("taskmanager.memory.network.min", "256m");
        configuration.setString("taskmanager.memory.network.max", "256m");
        configuration.setString("restart-strategy.type", "none");
        if (checkpointMillis > 0) {
            configuration.setString("state.backend.type", "hashmap");
            configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
            configuration.setString("execution.checkpointing.interval", checkpointMillis + " ms");
            configuration.setString("execution.checkpointing.dir", checkpoints.toUri().toString());
        }
        for (String key : System.getProperties().stringPropertyNames()) if (key.startsWith("flink.")) configuration.setString(key.substring(6), System.getProperty(key));
        return configuration;
    }

    private static String settings(int threads, long checkpointMillis) {
        return "TODO";
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
