//! Random scripts over [`super::COLUMNS`].

use super::COLUMNS;
use crate::random::Random;

/// What a random script may contain.
#[derive(Clone, Copy, Debug)]
pub struct ScriptShape {
    /// Most metrics.
    pub metrics: usize,
    /// Window functions besides TUMBLE and HOP.
    pub all_windows: bool,
    /// Aggregates besides those that count, add and compare numbers.
    pub heavy_aggregates: bool,
    /// Expressions that fail for some rows.
    pub fallible: bool,
}

const KEYS: [&[&str]; 9] = [&["k"], &["k"], &["n"], &[], &["k", "n"], &["flag", "k", "day"], &["x"], &["amount", "tiny"], &["upper(k)"]];
const FALLIBLE_KEYS: [&[&str]; 2] = [&["100 / tiny"], &["k", "100 / i"]];

const LIGHT: [&str; 22] = [
    "count(*)",
    "count(amount)",
    "count(name)",
    "sum(i)",
    "sum(big)",
    "sum(tiny)",
    "sum(amount)",
    "avg(i)",
    "avg(amount)",
    "min(i)",
    "max(i)",
    "min(x)",
    "max(big)",
    "min(day)",
    "max(et)",
    "bool_and(flag)",
    "bool_or(flag)",
    "count(*) FILTER (WHERE flag)",
    "count(*) FILTER (WHERE name = 'b')",
    "sum(i) FILTER (WHERE name < 'c')",
    "min(tiny) FILTER (WHERE flag)",
    "bool_or(flag) FILTER (WHERE i > 0)",
];
const HEAVY: [&str; 25] = [
    "sum(x)",
    "sum(r)",
    "avg(x)",
    "stddev_pop(i)",
    "stddev_samp(amount)",
    "var_pop(x)",
    "var_samp(big)",
    "min(name)",
    "max(name)",
    "min(amount)",
    "max(amount)",
    "first_value(name)",
    "last_value(i)",
    "first_value(amount) FILTER (WHERE flag)",
    "arg_min(name, amount)",
    "arg_max(i, x)",
    "count(DISTINCT name)",
    "count(DISTINCT i) FILTER (WHERE flag)",
    "sum(DISTINCT i)",
    "sum(DISTINCT amount)",
    "approx_count_distinct(big)",
    "approx_percentile(i, 0.9)",
    "approx_median(x)",
    "top_k(name, 3)",
    "max(r)",
];
const FALLIBLE: [&str; 4] = ["sum(100 / i)", "max(100 / tiny)", "count(*) FILTER (WHERE 10 / i > 2)", "sum(100 / i) FILTER (WHERE i <> 0)"];

const FILTERS: [&str; 6] = ["", "", "amount > 0", "name <> 'b'", "flag", "k IS NOT NULL AND i >= -2"];
const FALLIBLE_FILTERS: [&str; 2] = ["10 / tiny > 1", "i = 0 OR 12 / i > -3"];
const HAVINGS: [&str; 5] = ["", "", "", "count(*) >= 2", "sum(i) > 0"];

const SLIDES_MS: [i64; 6] = [1000, 1000, 2000, 3000, 5000, 700];
const COUNTS: [i64; 8] = [1, 2, 3, 4, 5, 8, 13, 60];
const OFFSETS_MS: [i64; 6] = [0, 0, 0, 500, -300, 7000];

/// A random script: one stream `s` with this bound and these further options, and metrics `m0`, `m1`, ….
pub fn script(random: &mut Random, shape: ScriptShape, bound_us: i64, options: &str) -> String {
    let with = if options.is_empty() { String::new() } else { format!(" WITH ({options})") };
    let bound = format!("INTERVAL '{bound_us} microseconds'");
    let mut sql = format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR et AS et - {bound}){with};\n");
    // Metrics are more likely to share something if they draw from few choices.
    let keys: Vec<&[&str]> = (0..2).map(|_| random.pick(&KEYS)).collect();
    let filters: Vec<&str> = (0..2).map(|_| random.pick(&FILTERS)).collect();
    for number in 0..1 + random.index(shape.metrics) {
        sql += &metric(random, shape, number, &keys, &filters);
    }
    sql
}

fn metric(random: &mut Random, shape: ScriptShape, number: usize, keys: &[&[&str]], filters: &[&str]) -> String {
    let fails = shape.fallible && random.once_in(4);
    let keys: &[&str] = if fails && random.once_in(3) { random.pick(&FALLIBLE_KEYS) } else { random.pick(keys) };
    let filter = if fails && random.once_in(3) { random.pick(&FALLIBLE_FILTERS) } else { random.pick(filters) };
    let (from, bounds, retention) = window(random, shape);
    let mut select: Vec<String> = keys.iter().enumerate().map(|(i, key)| format!("{key} AS key{i}")).collect();
    let mut group: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    if bounds {
        select.extend(["window_start".to_string(), "window_end".to_string()]);
        group.extend(["window_start".to_string(), "window_end".to_string()]);
    }
    for i in 0..1 + random.index(4) {
        select.push(format!("{} AS a{i}", aggregate(random, shape, fails)));
    }
    let clause = |word: &str, text: &str| if text.is_empty() { String::new() } else { format!(" {word} {text}") };
    format!(
        "CREATE METRIC m{number}{retention} AS SELECT {} FROM {from}{}{}{};\n",
        select.join(", "),
        clause("WHERE", filter),
        clause("GROUP BY", &group.join(", ")),
        clause("HAVING", random.pick(&HAVINGS)),
    )
}

fn aggregate(random: &mut Random, shape: ScriptShape, fails: bool) -> &'static str {
    if fails && random.once_in(3) {
        random.pick(&FALLIBLE)
    } else if shape.heavy_aggregates && random.once_in(2) {
        random.pick(&HEAVY)
    } else {
        random.pick(&LIGHT)
    }
}

/// FROM, whether windows have bounds, and the WITH clause.
fn window(random: &mut Random, shape: ScriptShape) -> (String, bool, String) {
    let slide = random.pick(&SLIDES_MS);
    let size = slide * random.pick(&COUNTS);
    let interval = |ms: i64| format!("INTERVAL '{ms} milliseconds'");
    let offset = match random.pick(&OFFSETS_MS) {
        0 => String::new(),
        ms => format!(", {}", interval(ms)),
    };
    let retention = match random.index(4) {
        0 => " WITH (retention = '0s')".to_string(),
        1 => format!(" WITH (retention = '{}s')", 1 + random.index(30)),
        _ => String::new(),
    };
    let from = match random.index(if shape.all_windows { 9 } else { 6 }) {
        0..2 => format!("TUMBLE(s, et, {}{offset})", interval(slide)),
        2..6 => format!("HOP(s, et, {}, {}{offset})", interval(slide), interval(size)),
        6 => format!("CUMULATE(s, et, {}, {}{offset})", interval(slide), interval(size)),
        7 => format!("SESSION(s, et, {})", interval(slide)),
        _ => {
            let ttl = if random.once_in(2) { " WITH (ttl = '3s')".to_string() } else { String::new() };
            return ("s".to_string(), false, ttl);
        }
    };
    (from, true, retention)
}
