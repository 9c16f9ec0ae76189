//! Damaged inputs end in bad rows or errors, never in a panic, and never in other rows than the offsets say.

use super::parquet::parquet_bytes;
use super::support::{Directory, Seeded, file_source, read_from, schema};
use arrow::array::{ArrayRef, Int64Array, StringArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use raympp_engine::decode::RecordDecoder;
use raympp_engine::decode::csv::CsvDecoder;
use raympp_engine::decode::json::JsonDecoder;
use std::io::Write;
use std::sync::Arc;

const COLUMNS: &str = "a BIGINT, b VARCHAR, c DECIMAL(10,2), d TIMESTAMP, e DOUBLE, f BOOLEAN, g BYTEA, h DATE, i INTERVAL";
const CSV: &str = "a,b,c,d,e,f,g,h,i\n1,x,2.50,2013-01-01 05:15:00,1e3,t,\\x00,2013-01-01,1 day\n\
                   2,\"y \"\"z\"\"\",-3,2013-01-01T05:15:00.123456Z,-0.1,false,\\xff,1999-12-31,-00:01:00\n,,,,,,,,\n";
const JSON: &str = "{\"a\":1,\"b\":\"x\\u00e4\",\"c\":2.5,\"d\":\"2013-01-01 05:15:00\",\"e\":1e3,\"f\":true,\"g\":\"\\\\x00\"}\n\
                    {\"b\":{\"n\":[1,2]},\"h\":\"2013-01-01\",\"i\":\"1 day\"}\n";

/// Changes, removes, doubles or inserts a few bytes.
fn damage(bytes: &[u8], random: &mut Seeded) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b",\"\n\r\\x0{}[]:"[random.below(12)]),
            _ => {
                let end = (at + random.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Decodes a whole text; the number of rows.
fn decode(mut decoder: Box<dyn RecordDecoder>, text: &[u8]) -> usize {
    let Ok(Some(header)) = decoder.read_header(text, true) else { return 0 };
    let (mut start, mut rows) = (header.consumed, 0);
    loop {
        let mut step = decoder.decode(&text[start..], true, 3);
        let bad = step.result.bad_at(raympp_types::Offset(0)).len();
        assert_eq!(step.result.batch.num_rows() + bad, step.result.rows);
        rows += step.result.rows;
        start += step.consumed;
        if step.consumed == 0 {
            assert_eq!(start, text.len());
            return rows;
        }
    }
}

#[test]
fn damaged_text_never_panics() {
    let schema = schema(COLUMNS);
    let mut rows = 0;
    for seed in 1..=20_000 {
        let random = &mut Seeded(seed);
        rows += decode(Box::new(CsvDecoder::new(&schema)), &damage(CSV.as_bytes(), random));
        rows += decode(Box::new(JsonDecoder::new(&schema)), &damage(JSON.as_bytes(), random));
    }
    assert!(rows > 50_000, "most damage leaves rows: {rows}");
}

#[test]
fn damaged_containers_never_panic() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(CSV.repeat(20).as_bytes()).expect("memory");
    let gzip = encoder.finish().expect("memory");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(Int64Array::from_iter_values(0..300))),
        ("b", Arc::new(StringArray::from_iter_values((0..300).map(|row| format!("name {}", row % 7))))),
    ];
    let parquet = parquet_bytes(columns, 100);
    let directory = Directory::new("damage");
    for seed in 1..=400 {
        let random = &mut Seeded(seed);
        for (name, bytes) in [("data.csv.gz", &gzip), ("data.parquet", &parquet)] {
            let source = file_source("a BIGINT, b VARCHAR", &directory.write(name, damage(bytes, random)));
            let (rows, error) = read_from(source.as_ref(), 0, 0, 64);
            assert!(rows.len() < 100_000 || error.is_some(), "seed {seed}");
        }
    }
}
