//! Which rows of a split count: the order of judgement is NULL event time, max_jump, late.

use super::SplitRows;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as ArrowType, TimestampMicrosecondType};
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_operators::plan::StreamPlan;
use raympp_types::{EventTime, Offset, SplitId};
use std::sync::Arc;

/// What a row is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    OnTime,
    Late,
    Bad,
}

/// A split with all its rows judged.
pub(super) struct JudgedSplit {
    pub split: SplitId,
    /// All decodable rows, strings plain.
    pub rows: RecordBatch,
    /// Of each row.
    pub offsets: Vec<u64>,
    /// Of each row.
    pub verdicts: Vec<Verdict>,
    /// Of each row, 0 where there is none.
    pub times_us: Vec<i64>,
    /// After the last row.
    pub watermark: EventTime,
    pub undecodable: u64,
}

impl JudgedSplit {
    pub(super) fn judge(stream: &StreamPlan, split: &SplitRows) -> JudgedSplit {
        let rows = plain(stream, &split.batches);
        let offsets: Vec<u64> = (0..split.len()).filter(|offset| !split.undecodable.contains(offset)).collect();
        let mut judged = JudgedSplit {
            split: split.split,
            offsets,
            verdicts: vec![Verdict::OnTime; rows.num_rows()],
            times_us: vec![0; rows.num_rows()],
            watermark: EventTime::MIN,
            undecodable: split.undecodable.len() as u64,
            rows,
        };
        let mut maximum: Option<i64> = None;
        let floor_at = |offset: u64| split.floors.iter().filter(|(at, _)| at.0 <= offset).map(|(_, floor)| floor.0).max();
        let watermark = |maximum: Option<i64>, floor: Option<i64>| maximum.map(|us| us.saturating_sub(stream.bound_us)).max(floor);
        if let Some(column) = stream.event_time {
            let column = Arc::clone(judged.rows.column(column));
            let times = column.as_primitive::<TimestampMicrosecondType>();
            for row in 0..judged.rows.num_rows() {
                let floor = floor_at(judged.offsets[row]);
                let time = times.value(row);
                let too_far = |highest: i64| stream.max_jump_us.is_some_and(|jump| time > highest.saturating_add(jump));
                judged.verdicts[row] = if times.is_null(row) || maximum.max(floor).is_some_and(too_far) {
                    Verdict::Bad
                } else {
                    let late = watermark(maximum, floor).is_some_and(|watermark| time < watermark);
                    maximum = maximum.max(Some(time));
                    judged.times_us[row] = time;
                    if late { Verdict::Late } else { Verdict::OnTime }
                };
            }
        }
        judged.watermark = match watermark(maximum, floor_at(split.len())) {
            _ if split.ended => EventTime::MAX,
            Some(us) => EventTime(us),
            None => EventTime::MIN,
        };
        judged
    }

    /// Highest event time of the rows before an offset, or of all.
    pub(super) fn seen_before(&self, end: Option<Offset>) -> EventTime {
        let counted = |row: &usize| self.verdicts[*row] != Verdict::Bad && end.is_none_or(|end| self.offsets[*row] < end.0);
        (0..self.verdicts.len()).filter(counted).map(|row| EventTime(self.times_us[row])).max().unwrap_or(EventTime::MIN)
    }
}

/// All rows in one batch, without dictionaries.
fn plain(stream: &StreamPlan, batches: &[RecordBatch]) -> RecordBatch {
    let schema = arrow_schema(&stream.schema);
    let plain = |column: &ArrayRef| match column.data_type() {
        ArrowType::Dictionary(_, values) => cast(column, values).expect("a dictionary holds its values"),
        _ => Arc::clone(column),
    };
    let plain: Vec<RecordBatch> = batches
        .iter()
        .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().iter().map(plain).collect()).expect("the stream's columns"))
        .collect();
    concat_batches(&schema, &plain).expect("batches of one schema")
}
