//! Rows as CSV and as JSON lines, both ways, by type of column.

use super::hashes::{of_columns, of_texts};
use super::rows::{batch, position, script};
use super::{Case, Ready, reading, using_up};
use arrow::array::RecordBatch;
use raympp_engine::Schema;
use raympp_engine::decode::RecordDecoder;
use raympp_engine::decode::csv::CsvDecoder;
use raympp_engine::decode::json::JsonDecoder;
use raympp_engine::sink::encode::{encode_csv, encode_jsonl};

/// Columns by what is special about them.
pub(super) const COLUMNS: [(&str, &[&str]); 12] = [
    ("few strings", &["city"]),
    ("many strings", &["stamp"]),
    ("boolean", &["ok"]),
    ("bigint", &["account"]),
    ("real", &["ratio"]),
    ("double", &["price"]),
    ("decimal", &["fee"]),
    ("timestamp", &["event_time"]),
    ("date", &["due"]),
    ("interval", &["pause"]),
    ("bytea", &["token"]),
    ("six columns", &["city", "account", "ok", "price", "note", "event_time"]),
];

/// A text format.
#[derive(Clone, Copy)]
struct Format {
    name: &'static str,
    encode: fn(&RecordBatch) -> Vec<u8>,
    decoder: fn(&Schema) -> Box<dyn RecordDecoder>,
}

const FORMATS: [Format; 2] = [
    Format {
        name: "CSV",
        encode: |rows| {
            let mut text = Vec::new();
            encode_csv(rows, &mut text, true).expect("columns that have a text");
            text
        },
        decoder: |schema| Box::new(CsvDecoder::new(schema)),
    },
    Format {
        name: "JSON lines",
        encode: |rows| {
            let mut text = Vec::new();
            encode_jsonl(rows, &mut text).expect("columns that have a text");
            text
        },
        decoder: |schema| Box::new(JsonDecoder::new(schema)),
    },
];

pub(super) fn cases() -> Vec<Case> {
    let of_columns = |format: Format, (name, columns): (&str, &'static [&'static str])| {
        [
            Case::new(format!("encode {}/{name}", format.name), move |rows| encode(format, columns, rows)),
            Case::new(format!("decode {}/{name}", format.name), move |rows| decode(format, columns, rows)),
        ]
    };
    FORMATS.iter().flat_map(|format| COLUMNS.map(|columns| of_columns(*format, columns))).flatten().collect()
}

/// These columns of a batch.
pub(super) fn projected(columns: &[&str], rows: usize) -> RecordBatch {
    let positions: Vec<usize> = columns.iter().map(|column| position(column)).collect();
    batch(rows, 0).project(&positions).expect("columns of the batch")
}

/// The schema of these columns.
pub(super) fn schema_of(columns: &[&str]) -> Schema {
    let all = script("SELECT COUNT(*) AS n FROM rows").stream.schema.fields.clone();
    Schema::new(columns.iter().map(|column| all[position(column)].clone()).collect())
}

fn encode(format: Format, columns: &[&str], rows: usize) -> Ready {
    let batch = projected(columns, rows);
    reading(rows, move || (format.encode)(&batch), |text| of_texts([text]))
}

fn decode(format: Format, columns: &[&str], rows: usize) -> Ready {
    let schema = schema_of(columns);
    let text = (format.encode)(&projected(columns, rows));
    let decode = move |mut decoder: Box<dyn RecordDecoder>| {
        let header = decoder.read_header(&text, true).expect("the columns' names").expect("a whole text").consumed;
        let decoded = decoder.decode(&text[header..], true, rows).result;
        assert_eq!(decoded.batch.num_rows(), rows, "all rows are good");
        (decoder, decoded)
    };
    using_up(rows, move || (format.decoder)(&schema), decode, |(_, decoded)| of_columns(decoded.batch.columns()))
}
