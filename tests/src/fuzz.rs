//! Properties that must hold for any bytes at all. The seeded loops of `tests/fuzz.rs` and the targets of cargo-fuzz both call them.
//!
//! Each function takes arbitrary bytes and panics iff a property is broken: text is bound or refused with a place in it; what a decoder
//! makes of a file does not depend on how the file was cut into blocks; encoded cells are decoded or refused, and what is decoded encodes
//! to something that decodes to the same bytes again.

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use raympp_engine::decode::csv::CsvDecoder;
use raympp_engine::decode::json::JsonDecoder;
use raympp_engine::decode::{DecodedRows, RecordDecoder, Step};
use raympp_operators::accumulator::Heavy;
use raympp_operators::keycode;
use raympp_operators::sql::{Catalog, bind_script};
use raympp_types::{DataType, Field, Offset, Schema, Value};
use std::sync::OnceLock;

/// What scripts can refer to.
const KNOWN: &str = "
CREATE STREAM payments (channel VARCHAR, status VARCHAR, amount DECIMAL(18,2), items INTEGER, event_time TIMESTAMP,
                        WATERMARK FOR event_time AS event_time - INTERVAL '2 seconds');
CREATE METRIC rates AS SELECT channel, window_end, COUNT(*) AS payments
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute') GROUP BY channel, window_end;";

/// Rows of one decoding call at most.
const ROWS_MAX: usize = 1000;

/// Binding a script never panics, and an error lies inside the script.
pub fn sql(data: &[u8]) {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    let catalog = CATALOG.get_or_init(|| bind_script(KNOWN, &Catalog::default()).expect("the known script is right").catalog);
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = bind_script(text, catalog) {
        let lines = text.split('\n').count();
        assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}", error.line);
        assert!(error.column >= 1, "{error}");
    }
}

/// A CSV file decodes to the same rows however it is cut.
pub fn csv(data: &[u8]) {
    same_for_all_cuts(data, || Box::new(CsvDecoder::new(&schema())));
}

/// A file of JSON lines decodes to the same rows however it is cut.
pub fn json(data: &[u8]) {
    same_for_all_cuts(data, || Box::new(JsonDecoder::new(&schema())));
}

/// Encoded keys and accumulator cells, which are what deltas are made of.
pub fn cells(data: &[u8]) {
    if let Ok(cell) = Heavy::decode(data) {
        let mut bytes = vec![];
        cell.encode(&mut bytes);
        let mut again = vec![];
        Heavy::decode(&bytes).expect("what was encoded is decoded").encode(&mut again);
        assert_eq!(bytes, again);
    }
    let types: Vec<DataType> = schema().fields.iter().map(|field| field.data_type).collect();
    let (count, code) = data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first) % (types.len() + 1), rest));
    if let Ok(values) = keycode::decode(code, &types[..count]) {
        check_key(&values, &types[..count]);
    }
}

fn check_key(values: &[Value], types: &[DataType]) {
    let mut bytes = vec![];
    keycode::encode_values(values, types, &mut bytes).expect("decoded values fit their types");
    let mut again = vec![];
    let decoded = keycode::decode(&bytes, types).expect("what was encoded is decoded");
    keycode::encode_values(&decoded, types, &mut again).expect("decoded values fit their types");
    assert_eq!(bytes, again);
}

fn schema() -> Schema {
    let decimal = DataType::Decimal { precision: 18, scale: 4 };
    let types = [
        ("k", DataType::Varchar),
        ("n", DataType::BigInt),
        ("x", DataType::Double),
        ("d", decimal),
        ("b", DataType::Boolean),
        ("day", DataType::Date),
        ("ts", DataType::Timestamp),
        ("raw", DataType::Bytea),
    ];
    Schema::new(types.into_iter().map(|(name, data_type)| Field::new(name, data_type)).collect())
}

fn same_for_all_cuts(data: &[u8], decoder: impl Fn() -> Box<dyn RecordDecoder>) {
    let whole = decode_all(data, decoder(), data.len().max(1), ROWS_MAX);
    for (block_bytes, rows_max) in [(1, ROWS_MAX), (7, 3), (64, 1)] {
        let cut = decode_all(data, decoder(), block_bytes, rows_max);
        assert_eq!(whole, cut, "blocks of {block_bytes} bytes, {rows_max} rows at most");
    }
}

/// What becomes of each row, as text; or the one error of the header.
fn decode_all(data: &[u8], mut decoder: Box<dyn RecordDecoder>, block_bytes: usize, rows_max: usize) -> Result<Vec<String>, String> {
    let (mut start, mut end) = (0, block_bytes.min(data.len()));
    loop {
        match decoder.read_header(&data[start..end], end == data.len())? {
            Some(Step { consumed, .. }) => {
                start += consumed;
                break;
            }
            None => end = (end + block_bytes).min(data.len()),
        }
    }
    let mut rows = vec![];
    loop {
        let at_end = end == data.len();
        let Step { consumed, result } = decoder.decode(&data[start..end], at_end, rows_max);
        assert!(consumed <= end - start, "a decoder took {consumed} of {} bytes", end - start);
        start += consumed;
        describe(result, &mut rows);
        match (consumed, at_end) {
            (0, true) => return Ok(rows),
            (0, false) => end = (end + block_bytes).min(data.len()),
            _ => {}
        }
    }
}

/// One line per row, good or bad, in order.
fn describe(mut decoded: DecodedRows, rows: &mut Vec<String>) {
    let first = rows.len();
    rows.extend((0..decoded.rows).map(|_| String::new()));
    for bad in decoded.bad_at(Offset(first as u64)) {
        rows[bad.offset.0 as usize] = format!("bad: {} {:?}", bad.reason, bad.raw);
    }
    for row in 0..decoded.batch.num_rows() {
        let number = decoded.row_numbers.as_ref().map_or(row, |numbers| numbers[row] as usize);
        rows[first + number] = row_text(&decoded.batch, row);
    }
    assert!(rows.iter().all(|row| !row.is_empty()), "a row is neither good nor bad");
}

fn row_text(batch: &RecordBatch, row: usize) -> String {
    let cell = |column: &arrow::array::ArrayRef| match column.is_null(row) {
        true => "NULL".to_owned(),
        false => format!("{:?}", array_value_to_string(column, row).expect("every type has a text")),
    };
    batch.columns().iter().map(cell).collect::<Vec<_>>().join(" ")
}
