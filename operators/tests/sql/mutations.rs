//! Broken scripts never make the binder panic: valid ones are mutated by bytes and by words, from a seed that a failure names.

use crate::scripts::{BASE, bind};
use raympp_operators::sql::{Catalog, bind_script};
use std::panic::catch_unwind;

const ROUNDS: u64 = 20_000;

const SCRIPTS: [&str; 6] = [
    BASE,
    "CREATE METRIC m WITH (retention = '1 hour') AS SELECT upper(channel) AS c, window_start, COUNT(*) FILTER (WHERE status = 'OK')::REAL / COUNT(*) AS r
FROM TABLE(HOP(TABLE payments, DESCRIPTOR(event_time), INTERVAL '1' SECOND, INTERVAL '1 minute', '0 s')) p WHERE p.amount BETWEEN 1 AND 2.5e3
GROUP BY 1, window_start HAVING MAX(CASE WHEN test THEN items ELSE -1 END) > 0",
    "SELECT DISTINCT r.channel, payments + 1 AS n FROM rates r WHERE live AND channel IN ('a', E'\\n', $$x$$) AND NOT closed ORDER BY 2 DESC NULLS LAST LIMIT 10 OFFSET 1",
    "CREATE SINK s FROM totals EMIT ON UPDATE EVERY INTERVAL '1 s' WITH (connector = 'file', path = 'x', roll = '1s'); DROP SINK s; SHOW SINKS; DESCRIBE rates",
    "EXPLAIN SELECT SUM(payments) FROM rates WHERE channel LIKE 'a%' ESCAPE '!' GROUP BY channel HAVING COUNT(*) > 1; EXPLAIN rates",
    "CREATE METRIC e AS SELECT EXTRACT(HOUR FROM event_time) AS h, SUBSTRING(channel FROM 1 FOR 2) AS s, TRIM(BOTH 'x' FROM status) AS t, COUNT(DISTINCT items) AS n
FROM payments GROUP BY EXTRACT(HOUR FROM event_time), 2, 3",
];

const WORDS: [&str; 40] = [
    "SELECT",
    "FROM",
    "(",
    ")",
    ",",
    ";",
    "*",
    "GROUP BY",
    "window_start",
    "COUNT(*)",
    "'",
    "\"",
    "--",
    "/*",
    "*/",
    "NULL",
    "INTERVAL",
    "'1'",
    "1e999",
    "99999999999999999999999999999999999999999",
    "::",
    "CASE",
    "END",
    "NOT",
    "IN",
    "BETWEEN",
    "AND",
    "-",
    "+",
    "$1",
    "$$",
    "WITH",
    "AS",
    "\u{e9}",
    "\u{1F980}",
    "\0",
    "TABLE",
    "channel",
    "OVER ()",
    "FILTER (WHERE",
];

/// xorshift64*: enough to pick places.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

/// One change at a random place.
fn mutate(script: &str, random: &mut Random) -> String {
    let mut words: Vec<&str> = script.split_inclusive([' ', '(', ',', ')']).collect();
    if words.is_empty() {
        return WORDS[random.below(WORDS.len())].to_owned();
    }
    let place = random.below(words.len());
    match random.below(6) {
        0 => drop(words.remove(place)),
        1 => words.insert(place, WORDS[random.below(WORDS.len())]),
        2 => words[place] = WORDS[random.below(WORDS.len())],
        3 => {
            let other = random.below(words.len());
            words.swap(place, other);
        }
        4 => words.truncate(place),
        _ => {
            let mut bytes = script.as_bytes().to_vec();
            let at = random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.below(128) as u8;
            }
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    words.concat()
}

#[test]
fn mutated_scripts_never_panic() {
    let mut accepted = 0;
    for seed in 1..=ROUNDS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut script = SCRIPTS[random.below(SCRIPTS.len())].to_owned();
        for _ in 0..=random.below(4) {
            script = mutate(&script, &mut random);
        }
        let result = catch_unwind(|| bind(&script).map_err(|error| error.to_string()));
        match result {
            Ok(Ok(_)) => accepted += 1,
            Ok(Err(message)) => assert!(message.starts_with("error at line "), "seed {seed}: {message}"),
            Err(_) => panic!("seed {seed} panics with the script\n{script}"),
        }
    }
    assert!(accepted > 0 && accepted < ROUNDS, "{accepted} of {ROUNDS} mutated scripts were valid");
}

/// Nothing is deep enough to overflow a stack: nesting of each kind, and chains, end in an error or a plan.
#[test]
fn deep_and_long_scripts_never_overflow() {
    let repeat = |text: &str, times: usize| text.repeat(times);
    for times in [10, 100, 1_000, 10_000, 100_000] {
        for expression in [
            format!("{}1{}", repeat("(", times), repeat(")", times)),
            format!("{}1", repeat("- ", times)),
            format!("{}TRUE", repeat("NOT ", times)),
            format!("1{}", repeat(" + 1", times)),
            format!("1{}", repeat("::INT", times)),
            format!("1{}", repeat(" IS NULL", times)),
            format!("{}1{}", repeat("abs(", times), repeat(")", times)),
            format!("CASE {} END", repeat("WHEN test THEN 1 ", times)),
            format!("{}1{}", repeat("CASE WHEN test THEN ", times), repeat(" END", times)),
            format!("1 IN (1{})", repeat(", 1", times)),
        ] {
            let script = format!("CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE ({expression}) IS NOT NULL");
            if let Err(error) = bind(&script) {
                assert!(times >= 100, "{times} is not too many: {}", error.message);
            }
        }
        let from = format!("SELECT * FROM {}rates{}", repeat("(", times), repeat(")", times));
        assert!(bind_script(&from, &Catalog::default()).is_err());
    }
}
