//! Seeded loops over the properties of [`raympp_tests::fuzz`]: sensible input, mutated by bytes and by words.
//!
//! The seed is the test's own; a failure names the round, and the same round makes the same bytes again. `RAYMPP_SOAK` makes the loops a hundred
//! times as long.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

use raympp_tests::fuzz;
use std::panic::catch_unwind;

const ROUNDS: u64 = 3_000;

const SCRIPTS: [&str; 3] = [
    "CREATE METRIC m AS SELECT channel, window_start, COUNT(*) FILTER (WHERE status = 'OK')::REAL / COUNT(*) AS r
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute') WHERE amount BETWEEN 1 AND 2.5e3 GROUP BY 1, window_start HAVING MAX(items) > 0;",
    "SELECT channel, payments + 1 AS n FROM rates WHERE live AND channel IN ('a', E'\\n') ORDER BY 2 DESC NULLS LAST LIMIT 10",
    "CREATE SINK s FROM rates EMIT ON UPDATE EVERY INTERVAL '1 s' WITH (connector = 'file', path = 'x'); DROP SINK s; SHOW SINKS",
];

const CSVS: [&str; 2] = [
    "k,n,x,d,b,day,ts,raw,more\na,1,0.5,1.25,true,2024-02-29,2024-02-29 12:00:00,\\x00ff,z\n\"b \"\"c\"\"\n\",-9223372036854775808,NaN,,f,1969-12-31,1969-12-31T23:59:59.999999Z,,\n,,,,,,,,\n",
    "\u{feff}ts,raw,day,b,d,x,n,k\r\n2024-01-01 00:00:00.5,,0001-01-01,0,-99999999999999.9999,1e-320,+7,\"\"\r\nx,y,z\r\n\r\n",
];

const JSONS: [&str; 2] = [
    "{\"k\": \"a\\u00e9\\n\", \"n\": 1, \"x\": 5e-1, \"d\": 1.25, \"b\": true, \"day\": \"2024-02-29\", \"ts\": \"2024-02-29T12:00:00Z\", \"raw\": \"\\\\x00ff\"}\n{}\n{\"n\": 1e3, \"k\": {\"deep\": [1, null]}}\n",
    "{\"n\": \"12\", \"n\": null, \"other\": [[], {}], \"x\": \"NaN\"}\n\n[1]\n{\"k\": \"\\ud83e\\udd80\", \"b\": 1}",
];

const WORDS: [&str; 24] = [
    "\"",
    "\"\"",
    ",",
    "\n",
    "\r\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    "null",
    "true",
    "\\u0000",
    "\\",
    "'",
    "(",
    ")",
    "NULL",
    "1e999",
    "-",
    "9223372036854775808",
    "\u{1F980}",
    "INTERVAL '1 day'",
    "GROUP BY",
];

/// xorshift64*: enough to pick places.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

/// The input of one round: a seed text with up to eight places changed.
fn mutated(seeds: &[Vec<u8>], round: u64) -> Vec<u8> {
    let mut numbers = Numbers(round.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..numbers.below(9) {
        let place = numbers.below(bytes.len() + 1);
        let length = numbers.below(12).min(bytes.len() - place);
        match numbers.below(5) {
            0 => drop(bytes.drain(place..place + length)),
            1 => drop(bytes.splice(place..place, WORDS[numbers.below(WORDS.len())].bytes())),
            2 if place < bytes.len() => bytes[place] ^= 1 << numbers.below(8),
            3 => {
                let copy = bytes[place..place + length].to_vec();
                let to = numbers.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copy));
            }
            _ => bytes.truncate(place.max(1)),
        }
    }
    bytes
}

fn run(seeds: &[Vec<u8>], property: fn(&[u8])) {
    let rounds = if std::env::var_os("RAYMPP_SOAK").is_some() { ROUNDS * 100 } else { ROUNDS };
    for round in 0..rounds {
        let bytes = mutated(seeds, round);
        if catch_unwind(|| property(&bytes)).is_err() {
            panic!("round {round} fails on {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn scripts_are_bound_or_refused() {
    run(&texts(&SCRIPTS), fuzz::sql);
}

#[test]
fn csv_decodes_the_same_however_it_is_cut() {
    run(&texts(&CSVS), fuzz::csv);
}

#[test]
fn json_decodes_the_same_however_it_is_cut() {
    run(&texts(&JSONS), fuzz::json);
}

#[test]
fn cells_are_decoded_or_refused() {
    let seeds = (0..64u8).map(|i| (0..2 + i).map(|j| if j < 2 { 1 + (i + j) % 5 } else { i.wrapping_mul(j) }).collect());
    run(&seeds.collect::<Vec<_>>(), fuzz::cells);
}

/// The loops themselves can fail: a property that some mutation breaks is found.
#[test]
fn a_broken_property_is_found() {
    let broken = |bytes: &[u8]| assert!(!bytes.contains(&b'\\'), "planted");
    assert!(catch_unwind(|| run(&texts(&["plain text"]), broken)).is_err());
}
