//! JSON lines.

use super::support::{Directory, Seeded, check_cuts_and_resumption, file_source, read};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use raympp_engine::decode::RecordDecoder;
use raympp_engine::decode::json::JsonDecoder;
use raympp_engine::sink::encode::encode_jsonl;
use serde::de::IgnoredAny;
use std::collections::HashMap;

fn check(columns: &str, text: impl AsRef<[u8]>, expected: &[Result<&str, &str>]) {
    let directory = Directory::new(&format!("json-{}", std::thread::current().name().unwrap_or("test").replace("::", "-")));
    let path = directory.write("data.jsonl", text);
    let rows = read(file_source(columns, &path).as_ref());
    let shown: Vec<Result<&str, &str>> = rows.iter().map(|row| row.as_deref().map_err(String::as_str)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn fields_by_name_missing_ones_null_the_last_of_equal_ones() {
    check(
        "a BIGINT, b VARCHAR",
        "{\"b\":\"x\",\"a\":1,\"other\":[1,{\"a\":2}]}\n{}\n\n {\"a\" : 1, \"a\": 2 , \"b\":null}\r\n{\"\\u0061\":3}",
        &[Ok(r#"{"a":1,"b":"x"}"#), Ok(r#"{"a":null,"b":null}"#), Ok(r#"{"a":2,"b":null}"#), Ok(r#"{"a":3,"b":null}"#)],
    );
}

#[test]
fn numbers_keep_all_digits() {
    check(
        "i BIGINT, d DECIMAL(38,10), f DOUBLE",
        "{\"i\":9223372036854775807,\"d\":1234567890123456789012345678.0123456789,\"f\":0.1}\n{\"i\":-1e3,\"d\":\"12.5\",\"f\":\"NaN\"}\n{\"i\":7.0,\"d\":1e-10,\"f\":1}\n",
        &[
            Ok(r#"{"i":9223372036854775807,"d":1234567890123456789012345678.0123456789,"f":0.1}"#),
            Ok(r#"{"i":-1000,"d":12.5000000000,"f":"NaN"}"#),
            Ok(r#"{"i":7,"d":0.0000000001,"f":1}"#),
        ],
    );
}

#[test]
fn varchar_takes_anything_as_its_text() {
    check(
        "v VARCHAR",
        "{\"v\":\"a\\n\\ud83d\\ude00\"}\n{\"v\":1.50}\n{\"v\":true}\n{\"v\":{\"x\": [1, 2]}}\n{\"v\":\"\"}\n",
        &[Ok(r#"{"v":"a\n😀"}"#), Ok(r#"{"v":"1.50"}"#), Ok(r#"{"v":"true"}"#), Ok(r#"{"v":"{\"x\": [1, 2]}"}"#), Ok(r#"{"v":""}"#)],
    );
}

#[test]
fn malformed_lines_and_wrong_types_are_bad() {
    check(
        "i BIGINT, t TIMESTAMP, f BOOLEAN",
        b"[1]\n{\"i\":1\n{\"i\":1}}\n{\"i\":01}\n{\"i\":1.5}\n{\"i\":true}\n{\"t\":1}\n{\"f\":1}\n{\"i\":{}}\n{\"i\":\"x\"}\n{\"x\":\"\xff\",\"i\":1}\n{\"i\":9223372036854775808}\n",
        &[
            Err("line 1: not a JSON object at byte 1"),
            Err("line 2: expected ',' or '}' at byte 7"),
            Err("line 3: text after the object at byte 8"),
            Err("line 4: a number with a leading zero at byte 8"),
            Err("line 5, column i BIGINT: 1.5 is not a whole number in range"),
            Err("line 6, column i BIGINT: true or false where a value of type BIGINT is expected"),
            Err("line 7, column t TIMESTAMP: a number where a value of type TIMESTAMP is expected"),
            Err("line 8, column f BOOLEAN: a number where a value of type BOOLEAN is expected"),
            Err("line 9, column i BIGINT: an object or array where a value of type BIGINT is expected"),
            Err("line 10, column i BIGINT: 'x': expected a whole number"),
            Ok(r#"{"i":1,"t":null,"f":null}"#),
            Err("line 12, column i BIGINT: '9223372036854775808': it is out of range, expected -9223372036854775808 to 9223372036854775807"),
        ],
    );
}

#[test]
fn deep_nesting_and_long_lines_are_bad_not_fatal() {
    let deep = format!("{{\"v\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"v\":\"{}\"}}", "x".repeat(1 << 20));
    let over = format!("{{\"v\":\"{}\"}}", "x".repeat(64 << 20));
    let directory = Directory::new("json-deep");
    let source = file_source("v VARCHAR", &directory.write("data.jsonl", format!("{deep}\n{long}\n{over}\n{{\"v\":\"end\"}}\n")));
    let rows = read(source.as_ref());
    assert!(rows[0].as_ref().is_err_and(|reason| reason.contains("nested too deeply")));
    assert!(rows[1].as_ref().is_ok_and(|row| row.len() > 1 << 20));
    assert_eq!(rows[2].as_ref().err().map(String::as_str), Some("line 3: a record of more than 64 MiB"));
    assert_eq!(rows[3].as_deref(), Ok(r#"{"v":"end"}"#));
}

#[test]
fn an_empty_file_has_no_rows() {
    check("a BIGINT", "", &[]);
    check("a BIGINT", "\u{feff}\n \n", &[]);
}

#[test]
fn any_batch_size_and_any_offset_give_the_same_rows() {
    let mut random = Seeded(5);
    let mut text = String::new();
    for row in 0..2_000 {
        match random.below(8) {
            0 => text.push('\n'),
            1 => text.push_str("{\"a\":}\n"),
            2 => text.push_str("{\"a\":\"x\"}\n"),
            _ => text.push_str(&format!("{{\"a\":{row},\"b\":\"n{}\"}}\n", random.below(4))),
        }
    }
    let directory = Directory::new("json-cuts");
    let source = file_source("a BIGINT, b VARCHAR", &directory.write("data.jsonl", text));
    check_cuts_and_resumption(source.as_ref(), 0, &[0, 1, 999, 1_500]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_good_iff_a_standard_parser_takes_it(tokens in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ":", ",", "\"v\"", "\"w\"", "\"\\u00e4\\n\"", "\"\\x\"", "1", "-0.5e3", "01", "1.", "true", "nul", "null", " ", "\\", "\"",
    ]), 0..12)) {
        let inner = tokens.concat();
        for line in [inner.clone(), format!("{{\"v\":{inner}}}"), format!("{{{inner}}}")] {
            if line.trim().is_empty() {
                continue;
            }
            let mut decoder = JsonDecoder::new(&super::support::schema("v VARCHAR"));
            let decoded = decoder.decode(line.as_bytes(), true, 10).result;
            prop_assert_eq!(decoded.rows, 1);
            let standard = serde_json::from_str::<HashMap<String, IgnoredAny>>(&line);
            prop_assert_eq!(decoded.batch.num_rows() == 1, standard.is_ok(), "{:?}: {:?}", line, standard);
            // Fails on numbers beyond a double, which are well formed.
            if let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&line) {
                let mut written = Vec::new();
                encode_jsonl(&decoded.batch, &mut written).expect("text");
                let back: serde_json::Value = serde_json::from_slice(&written).expect("what is written is JSON");
                let value = object.get("v").unwrap_or(&serde_json::Value::Null);
                prop_assert_eq!(back["v"].is_null(), value.is_null());
                if value.is_string() {
                    prop_assert_eq!(&back["v"], value);
                }
            }
        }
    }
}
