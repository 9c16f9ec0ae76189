//! Results as numbers: equal hashes are equal results, whatever they look like in memory.

use arrow::array::{ArrayRef, RecordBatch};
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::expr::arrow_types::value_at;
use raympp_state::checkpoint::Record;
use raympp_state::replica::Replica;
use raympp_testkit::rows::{rows_sorted, value_text};
use raympp_types::EventTime;
use xxhash_rust::xxh3::Xxh3;

/// Of texts, in order.
pub(super) fn of_texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> u64 {
    let mut hasher = Xxh3::new();
    for text in texts {
        // Lengths keep "a", "bc" and "ab", "c" apart.
        hasher.update(&(text.as_ref().len() as u64).to_le_bytes());
        hasher.update(text.as_ref());
    }
    hasher.digest()
}

/// Of numbers, in order.
pub(super) fn of_numbers<'a>(numbers: impl IntoIterator<Item = &'a u32>) -> u64 {
    of_texts(numbers.into_iter().map(|number| number.to_le_bytes()))
}

/// Of a column's values, in order.
pub(super) fn of_column(column: &ArrayRef) -> u64 {
    of_texts((0..column.len()).map(|row| value_text(&value_at(column.as_ref(), row))))
}

/// Of columns, row by row.
pub(super) fn of_columns(columns: &[ArrayRef]) -> u64 {
    of_texts(columns.iter().map(|column| of_column(column).to_le_bytes()))
}

/// Of rows in any order.
pub(super) fn of_rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> u64 {
    of_texts(rows_sorted(batches))
}

/// Of cells, by their canonical bytes.
pub(super) fn of_cells<'a>(columns: impl IntoIterator<Item = &'a AccumulatorColumn>) -> u64 {
    let code = |column: &AccumulatorColumn| {
        let mut bytes = Vec::new();
        (0..column.len()).for_each(|cell| column.encode_cell(cell, &mut bytes));
        bytes
    };
    of_texts(columns.into_iter().map(code))
}

/// Of all groups that a replica keeps.
pub(super) fn of_replica(replica: &Replica) -> u64 {
    of_texts(replica.export(EventTime::MIN).iter().map(|group| format!("{group:?}")))
}

/// Of a record's entries.
pub(super) fn of_record(record: &Record) -> u64 {
    let rows = record.rows.iter().map(|rows| rows.to_le_bytes().to_vec());
    let keys = record.keys.iter().map(<[u8]>::to_vec);
    let columns = record.columns.iter().map(|column| column.as_ref().map_or(0, |column| of_cells([column])).to_le_bytes().to_vec());
    of_texts(rows.chain(keys).chain(columns).chain([format!("{:?}", record.pieces).into_bytes()]))
}
