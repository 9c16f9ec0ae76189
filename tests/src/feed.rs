//! The ways rows come into an engine: as batches, as values that serialise, as a CSV file. The same content must give the same results.

use arrow::array::RecordBatch;
use raympp_engine::Writer;
use raympp_operators::expr::arrow_types::value_at;
use raympp_testkit::random::Random;
use raympp_testkit::reference::SplitRows;
use raympp_types::Value;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// How a writer is given the rows of a split.
#[derive(Clone, Copy, Debug)]
pub enum Feed {
    /// As the batches they are in.
    Batches,
    /// Cut into batches of random sizes.
    Cuts {
        /// Of the sizes.
        seed: u64,
        /// Most rows of a batch.
        rows_max: usize,
    },
    /// One by one, through serde.
    Rows,
}

impl Feed {
    /// Pushes all decodable rows of a split.
    ///
    /// # Panics
    /// If the writer refuses any.
    pub fn push(self, writer: &Writer, split: &SplitRows) {
        let mut random = Random::new(if let Feed::Cuts { seed, .. } = self { seed } else { 0 });
        for batch in &split.batches {
            match self {
                Feed::Batches => writer.push_batch(batch).expect("the stream's columns"),
                Feed::Rows => (0..batch.num_rows()).for_each(|row| writer.push(&OneRow { batch, row }).expect("values of the columns")),
                Feed::Cuts { rows_max, .. } => {
                    for piece in cuts(&mut random, batch, rows_max) {
                        writer.push_batch(&piece).expect("the stream's columns");
                    }
                }
            }
        }
    }
}

fn cuts(random: &mut Random, batch: &RecordBatch, rows_max: usize) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < batch.num_rows() {
        let rows = (1 + random.index(rows_max)).min(batch.num_rows() - at);
        pieces.push(batch.slice(at, rows));
        at += rows;
    }
    pieces
}

/// A row as a map from column to value, as a program would push it.
pub struct OneRow<'a> {
    /// Of which batch.
    pub batch: &'a RecordBatch,
    /// Which row of it.
    pub row: usize,
}

impl Serialize for OneRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.batch.num_columns()))?;
        for (field, column) in self.batch.schema_ref().fields().iter().zip(self.batch.columns()) {
            let name = field.name();
            match value_at(column.as_ref(), self.row) {
                Value::Null => map.serialize_entry(name, &None::<i64>)?,
                Value::Boolean(v) => map.serialize_entry(name, &v)?,
                Value::SmallInt(v) => map.serialize_entry(name, &v)?,
                Value::Integer(v) => map.serialize_entry(name, &v)?,
                Value::BigInt(v) | Value::Timestamp(v) | Value::TimestampTz(v) => map.serialize_entry(name, &v)?,
                Value::Real(v) => map.serialize_entry(name, &v)?,
                Value::Double(v) => map.serialize_entry(name, &v)?,
                Value::Varchar(v) => map.serialize_entry(name, &*v)?,
                other => map.serialize_entry(name, &other.to_string())?,
            }
        }
        map.end()
    }
}

/// The split as a CSV file. An offset without a decodable row gets a line whose first number is none.
pub fn csv(split: &SplitRows) -> String {
    let schema = split.batches.first().map(RecordBatch::schema).expect("a split of a file has rows");
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut text = names.join(",") + "\n";
    let damaged = vec!["?"; names.len()].join(",") + "\n";
    let mut rows = split.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    for offset in 0..split.len() {
        if split.undecodable.contains(&offset) {
            text += &damaged;
        } else if let Some((batch, row)) = rows.next() {
            text += &csv_line(batch, row);
        }
    }
    text
}

fn csv_line(batch: &RecordBatch, row: usize) -> String {
    let cells: Vec<String> = batch.columns().iter().map(|column| csv_cell(&value_at(column.as_ref(), row))).collect();
    cells.join(",") + "\n"
}

fn csv_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Varchar(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        other => other.to_string(),
    }
}
