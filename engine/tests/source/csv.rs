//! CSV as SQL.md means it, and the fast splitter against a slow and obvious one.

use super::reference::{Record, records};
use super::support::{Directory, Row, Seeded, check_cuts_and_resumption, file_source, read, read_from, schema};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use raympp_engine::decode::csv::CsvDecoder;
use raympp_engine::decode::{RecordDecoder, Step};
use raympp_engine::sink::encode::encode_jsonl;
use raympp_engine::source::SourceErrorKind;
use raympp_types::Offset;

/// Rows of a CSV text, each as JSON or with the reason it is bad.
fn check(columns: &str, text: impl AsRef<[u8]>, expected: &[Result<&str, &str>]) {
    let directory = Directory::new(&format!("csv-{}", std::thread::current().name().unwrap_or("test").replace("::", "-")));
    let path = directory.write("data.csv", text);
    let rows = read(file_source(columns, &path).as_ref());
    let shown: Vec<Result<&str, &str>> = rows.iter().map(|row| row.as_deref().map_err(String::as_str)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn columns_are_found_by_name_and_extra_ones_ignored() {
    check(
        "b VARCHAR, a BIGINT",
        "x,a,b\n1,2,three\n4,5,\n7,8,\"\"\n",
        &[Ok(r#"{"b":"three","a":2}"#), Ok(r#"{"b":null,"a":5}"#), Ok(r#"{"b":"","a":8}"#)],
    );
}

#[test]
fn quotes_line_breaks_and_byte_order_mark() {
    let text = "\u{feff}a,\"b\"\r\n\"x,\"\"y\"\"\",1\r\n\"line\r\nbreak\",2\r\n\"\",3\r\n\"last\",4";
    check(
        "a VARCHAR, b BIGINT",
        text,
        &[Ok(r#"{"a":"x,\"y\"","b":1}"#), Ok(r#"{"a":"line\r\nbreak","b":2}"#), Ok(r#"{"a":"","b":3}"#), Ok(r#"{"a":"last","b":4}"#)],
    );
}

#[test]
fn records_that_cannot_be_cut_are_bad() {
    let quote = "a quote where none may be: a quoted field is quoted from its first to its last byte, quotes inside it doubled";
    check(
        "a VARCHAR, b BIGINT",
        "a,b\nok,1\ntoo,many,fields\nfew\n\nmid\"dle,2\n\"text\" behind,3\n\"fine, \"\"here\"\"\",4\n\"never closed,5\nok,6\n",
        &[
            Ok(r#"{"a":"ok","b":1}"#),
            Err("line 3: 3 fields where the header has 2"),
            Err("line 4: 1 fields where the header has 2"),
            Err(&format!("line 6: {quote}")),
            Err(&format!("line 7: {quote}")),
            Ok(r#"{"a":"fine, \"here\"","b":4}"#),
            Err("line 9: a quoted field that is never closed"),
            Ok(r#"{"a":"ok","b":6}"#),
        ],
    );
}

#[test]
fn cells_that_cannot_be_decoded_are_bad_in_any_declared_column() {
    check(
        "a BIGINT, b DECIMAL(4,2), t TIMESTAMP",
        b"a,b,t,ignored\n1,2.5,2013-01-01 00:00:00,\xff\nx,2.5,2013-01-01,z\n1,123.45,2013-01-01T01:00:00Z,\n1,1,2013-02-30,\n",
        &[
            Ok(r#"{"a":1,"b":2.50,"t":"2013-01-01 00:00:00.000000"}"#),
            Err("line 3, column a BIGINT: 'x': expected a whole number"),
            Err("line 4, column b DECIMAL(4,2): '123.45': it is out of range, expected a DECIMAL of fewer digits"),
            Err("line 5, column t TIMESTAMP: '2013-02-30': it is out of range, \
                 expected a day and time of the calendar between 290309 BC and 294247"),
        ],
    );
}

#[test]
fn invalid_utf8_is_bad_in_a_declared_string_only() {
    check(
        "a VARCHAR",
        b"a,b\ngood,\xff\n\xff,x\n\xc3\xa4,x\n",
        &[Ok(r#"{"a":"good"}"#), Err("line 3, column a VARCHAR: the text is not UTF-8"), Ok(r#"{"a":"ä"}"#)],
    );
}

#[test]
fn invalid_utf8_is_found_where_strings_do_not_repeat() {
    let mut text = b"a\n".to_vec();
    (0..5_000).for_each(|row| text.extend_from_slice(format!("{row}\n").as_bytes()));
    // Half a character at the end of one row and the other half at the start of the next are two bad rows, not one good one.
    text.extend_from_slice(b"\xc3\n\xa4\nlast\n");
    let directory = Directory::new("csv-halves");
    let rows = read(file_source("a VARCHAR", &directory.write("data.csv", text)).as_ref());
    assert_eq!(rows.len(), 5_003);
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 2);
    assert_eq!(rows[5_002].as_deref(), Ok(r#"{"a":"last"}"#));
}

#[test]
fn extremes_of_every_type() {
    let header = "s,i,b,d,f,r,t,day,y,flag,span";
    let columns =
        "s SMALLINT, i INTEGER, b BIGINT, d DECIMAL(38,2), f DOUBLE, r REAL, t TIMESTAMP, day DATE, y BYTEA, flag BOOLEAN, span INTERVAL";
    let nines = "9".repeat(36);
    let rows = [
        format!(
            "-32768,-2147483648,-9223372036854775808,-{nines}.99,1.7976931348623157e308,3.4028235e38,0001-01-01 00:00:00,0001-01-01,\\x00ff,t,1 day"
        ),
        "32767,2147483647,9223372036854775807,0.005,-5e-324,1e-45,290000-12-31 23:59:59.999999,9999-12-31,\\x,FALSE,-00:00:01".to_owned(),
        "32768,,,,,,,,,,".to_owned(),
        ",2147483648,,,,,,,,,".to_owned(),
        ",,9223372036854775808,,,,,,,,".to_owned(),
        format!(",,,1{nines}9,,,,,,,"),
        ",,,,1e309,,,,,,".to_owned(),
        ",,,,NaN,-Infinity,,,,,".to_owned(),
        ",,,,,,300000-01-01 00:00:00,,,,".to_owned(),
        ",,,,,,,,\\x0,,".to_owned(),
        ",,,,,,,,,maybe,".to_owned(),
    ];
    let directory = Directory::new("csv-extremes");
    let path = directory.write("data.csv", format!("{header}\n{}\n", rows.join("\n")));
    let read = read(file_source(columns, &path).as_ref());
    let good: Vec<usize> = (0..rows.len()).filter(|&row| read[row].is_ok()).collect();
    assert_eq!(good, [0, 1, 7], "{read:#?}");
    let text = |row: usize| read[row].as_deref().expect("good");
    for part in [
        r#""s":-32768"#,
        r#""b":-9223372036854775808"#,
        &format!(r#""d":-{nines}.99"#),
        r#""t":"0001-01-01 00:00:00.000000""#,
        r#""y":"\\x00ff""#,
    ] {
        assert!(text(0).contains(part), "{part} in {}", text(0));
    }
    for part in [r#""b":9223372036854775807"#, r#""d":0.01"#, r#""t":"290000-12-31 23:59:59.999999""#, r#""f":-5e-324"#, r#""flag":false"#]
    {
        assert!(text(1).contains(part), "{part} in {}", text(1));
    }
    assert!(text(7).contains(r#""f":"NaN","r":"-Infinity""#), "{}", text(7));
}

#[test]
fn header_only_and_empty_files() {
    check("a BIGINT", "a\n", &[]);
    check("a BIGINT", "a", &[]);
    let directory = Directory::new("csv-empty");
    for (name, bytes) in [("empty.csv", &b""[..]), ("mark.csv", b"\xef\xbb\xbf")] {
        let (rows, error) = read_from(file_source("a BIGINT", &directory.write(name, bytes)).as_ref(), 0, 0, 10);
        let error = error.expect("a header is missing");
        assert_eq!((rows.len(), error.kind), (0, SourceErrorKind::Format));
        assert!(error.to_string().contains(name) && error.to_string().contains("header"), "{error}");
    }
}

#[test]
fn a_header_without_a_declared_column_is_an_error() {
    let directory = Directory::new("csv-header");
    for (header, part) in [
        ("b,c\n", "no column a: it has b, c"),
        ("A,c\n", "declare the column with that spelling in double quotes"),
        ("a,b,a\n", "names column a twice"),
        ("\"a,b\n1,2\n", "a quote that is never closed"),
    ] {
        let (_, error) = read_from(file_source("a BIGINT", &directory.write("data.csv", header)).as_ref(), 0, 0, 10);
        let error = error.expect("an unusable header");
        assert_eq!(error.kind, SourceErrorKind::Format);
        assert!(error.to_string().contains(part) && error.to_string().contains("data.csv"), "{error}");
    }
}

#[test]
fn an_empty_line_is_a_null_in_a_file_of_one_column() {
    check("a BIGINT", "a\n1\n\n2\n", &[Ok(r#"{"a":1}"#), Ok(r#"{"a":null}"#), Ok(r#"{"a":2}"#)]);
    check("a BIGINT", "a,b\n1,\n\n\r\n2,\n", &[Ok(r#"{"a":1}"#), Ok(r#"{"a":2}"#)]);
}

#[test]
fn strings_of_a_mebibyte_pass_and_records_over_the_limit_do_not() {
    let long = "x".repeat(1 << 20);
    let quoted = format!("\"{}\"", "y\n\"\"".repeat(300_000));
    let over = "z".repeat((64 << 20) + 1);
    let text = format!("a,b\n{long},1\n{quoted},2\n{over},3\n\"{over}\nend,4\n");
    let directory = Directory::new("csv-long");
    let source = file_source("a VARCHAR, b BIGINT", &directory.write("data.csv", text));
    let rows = read(source.as_ref());
    assert_eq!(rows.len(), 5);
    assert!(rows[0].as_ref().is_ok_and(|row| row.len() > 1 << 20) && rows[1].is_ok());
    assert_eq!(rows[2].as_ref().err().map(String::as_str), Some("line 300004: a record of more than 64 MiB"));
    assert_eq!(rows[3].as_ref().err().map(String::as_str), Some("line 300005: a record of more than 64 MiB"));
    assert_eq!(rows[4].as_deref(), Ok(r#"{"a":"end","b":4}"#));
    let mut reader = source.open(0, Offset(4)).expect("opens");
    assert!(matches!(reader.poll(0, 10), Ok(raympp_engine::source::SourcePoll::Rows(run)) if run.from == Offset(4) && run.bad.is_empty()));
}

#[test]
fn any_batch_size_and_any_offset_give_the_same_rows() {
    let mut random = Seeded(11);
    let mut text = "a,b,c\n".to_owned();
    for row in 0..3_000 {
        match random.below(12) {
            0 => text.push_str("\"two\nlines\",1,\n"),
            1 => text.push_str("few\n"),
            2 => text.push_str("x,not a number,y\n"),
            3 => text.push_str("\r\n"),
            _ => text.push_str(&format!("name{},{row},{}\r\n", random.below(5), random.next())),
        }
    }
    let directory = Directory::new("csv-cuts");
    let source = file_source("a VARCHAR, b BIGINT, c VARCHAR", &directory.write("data.csv", text));
    check_cuts_and_resumption(source.as_ref(), 0, &[0, 1, 2, 500, 1_777, 2_600]);
}

/// Decodes a text that arrives in pieces, as rows of JSON or "bad".
fn decode_in_pieces(columns: &str, text: &[u8], pieces: &[usize], rows_max: usize) -> Result<Vec<Row>, String> {
    let mut decoder = CsvDecoder::new(&schema(columns));
    let (mut start, mut rows, mut header) = (0, Vec::new(), false);
    let ends = pieces.iter().map(|&piece| (piece.min(text.len()), false)).chain([(text.len(), true)]);
    for (end, at_end) in ends.filter(|end| end.0 >= start || end.1).collect::<Vec<_>>() {
        loop {
            let block = &text[start.min(end)..end];
            if !header {
                match decoder.read_header(block, at_end)? {
                    Some(step) => (start, header) = (start + step.consumed, true),
                    None => break,
                }
                continue;
            }
            let Step { consumed, mut result } = decoder.decode(block, at_end, rows_max);
            assert!(result.rows <= rows_max);
            let mut lines = Vec::new();
            encode_jsonl(&result.batch, &mut lines).expect("text");
            let mut good =
                String::from_utf8(lines).expect("text").lines().map(|line| Ok(line.to_owned())).collect::<Vec<Row>>().into_iter();
            let bad: Vec<u64> = result.bad_at(Offset(0)).iter().map(|bad| bad.offset.0).collect();
            rows.extend(
                (0..result.rows as u64).map(|row| if bad.contains(&row) { Err("bad".to_owned()) } else { good.next().expect("a row") }),
            );
            start += consumed;
            if consumed == 0 {
                break;
            }
        }
    }
    assert_eq!(start, text.len(), "all bytes are used");
    Ok(rows)
}

/// The same by the slow decoder.
fn by_reference(text: &[u8], fields: usize) -> Vec<Row> {
    let row = |record: Record| match record {
        Record::Bad => Err("bad".to_owned()),
        Record::Fields(cells) => {
            let cell = |cell: &Option<Vec<u8>>| cell.as_ref().map(|bytes| String::from_utf8(bytes.clone())).transpose();
            match cells.iter().map(cell).collect::<Result<Vec<_>, _>>() {
                Err(_) => Err("bad".to_owned()),
                Ok(cells) => {
                    let pairs = cells.iter().enumerate().map(|(i, cell)| (format!("c{i}"), serde_json::json!(cell)));
                    Ok(serde_json::Value::Object(pairs.collect()).to_string())
                }
            }
        }
    };
    records(text, fields).into_iter().map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(20130101), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_decoder_agrees_with_the_slow_one(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "bc", ",", ",", ",", "\n", "\n", "\r\n", "\r", "\"", "\"\"", "\",\"", "\"x\",", "ä", "\u{1f600}", "0123456789012345678901234567890123456789",
        ]), 0..60),
        fields in 1..4usize,
        pieces in prop::collection::vec(0..200usize, 0..6),
        rows_max in 1..9usize,
    ) {
        let names: Vec<String> = (0..fields).map(|field| format!("c{field}")).collect();
        let columns: Vec<String> = names.iter().map(|name| format!("{name} VARCHAR")).collect();
        let body = tokens.concat();
        let header = format!("{}\n", names.join(","));
        let text = format!("{header}{body}");
        let mut pieces = pieces;
        pieces.sort_unstable();
        let decoded = decode_in_pieces(&columns.join(", "), text.as_bytes(), &pieces, rows_max);
        prop_assert_eq!(decoded, Ok(by_reference(body.as_bytes(), fields)), "{:?}", body);
    }
}
