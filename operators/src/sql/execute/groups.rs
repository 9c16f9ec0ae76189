//! GROUP BY of a SELECT: the same accumulators that metrics keep, folded once over all rows.

use super::order::ranks;
use super::{ExecuteError, batch, evaluate, truth};
use crate::accumulator::{Accumulator, AccumulatorColumn, Aggregate, RowOffsets, RowStamps, fold};
use crate::keycode::{KeyEncoder, decode_columns};
use crate::plan::SelectGroups;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use raympp_types::{DataType, Field, Schema, SplitId};
use std::collections::BTreeMap;

/// The group rows, in the order of their keys.
pub(super) fn group(groups: &SelectGroups, rows: &RecordBatch) -> Result<RecordBatch, ExecuteError> {
    let found = find(groups, rows)?;
    let stamps = Stamps::of(&groups.aggregates, rows);
    let types: Vec<DataType> = groups.keys.iter().map(|key| key.expr.data_type()).collect();
    let mut fields: Vec<Field> = groups.keys.iter().map(|key| Field::new(key.name.clone(), key.expr.data_type())).collect();
    let mut columns: Vec<ArrayRef> = match decode_columns(found.codes.iter().map(Vec::as_slice), &types) {
        Ok(columns) => columns,
        Err(error) => unreachable!("codes that were just written are valid: {error}"),
    };
    for aggregate in &groups.aggregates {
        fields.push(Field::new(aggregate.to_string(), aggregate.data_type()));
        columns.push(aggregated(aggregate, rows, &found, &stamps)?);
    }
    batch(&Schema::new(fields), columns, found.codes.len())
}

/// Groups of rows.
struct Found {
    /// Key code of each group, ascending.
    codes: Vec<Vec<u8>>,
    /// The group of each row.
    group_of: Vec<u32>,
    /// The number of rows of each group.
    counts: Vec<u64>,
}

/// Without keys there is one group, also if there is no row.
fn find(groups: &SelectGroups, rows: &RecordBatch) -> Result<Found, ExecuteError> {
    let keys = groups.keys.iter().map(|key| evaluate(&key.expr, rows, None)).collect::<Result<Vec<_>, _>>()?;
    let encoder = KeyEncoder::new(&keys);
    let mut members: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    if keys.is_empty() {
        members.insert(vec![], vec![]);
    }
    let mut code = Vec::new();
    for row in 0..rows.num_rows() as u32 {
        code.clear();
        encoder.encode(row as usize, &mut code);
        match members.get_mut(&code) {
            Some(members) => members.push(row),
            None => drop(members.insert(code.clone(), vec![row])),
        }
    }
    let mut found = Found { codes: vec![], group_of: vec![0; rows.num_rows()], counts: vec![] };
    for (group, (code, rows)) in members.into_iter().enumerate() {
        rows.iter().for_each(|row| found.group_of[*row as usize] = group as u32);
        found.counts.push(rows.len() as u64);
        found.codes.push(code);
    }
    Ok(found)
}

/// What breaks ties of ARG_MIN and ARG_MAX: a metric's rows have no split and no offset, so their contents decide.
struct Stamps {
    times: Vec<i64>,
    offsets: Vec<u64>,
}

impl Stamps {
    fn of(aggregates: &[Aggregate], rows: &RecordBatch) -> Stamps {
        let picks = |accumulator: &Accumulator| matches!(accumulator, Accumulator::Pick { .. });
        let needed = aggregates.iter().any(|aggregate| aggregate.lower().accumulators.iter().any(picks));
        Stamps { times: vec![0; rows.num_rows()], offsets: if needed { ranks(rows) } else { vec![0; rows.num_rows()] } }
    }
}

fn aggregated(aggregate: &Aggregate, rows: &RecordBatch, found: &Found, stamps: &Stamps) -> Result<ArrayRef, ExecuteError> {
    let numbers: Vec<u32> = (0..rows.num_rows() as u32).collect();
    let stamps = RowStamps { event_times_us: &stamps.times, split: SplitId(0), offsets: RowOffsets::Each(&stamps.offsets) };
    let mut cells = vec![];
    for accumulator in &aggregate.lower().accumulators {
        let filter = accumulator.filter().map(|filter| evaluate(filter, rows, None)).transpose()?.map(|filter| truth(&filter));
        let inputs = accumulator.inputs().iter().map(|input| evaluate(input, rows, filter.as_ref()));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let filter = filter.map(|filter| BooleanArray::new(filter, None));
        let mut column = AccumulatorColumn::identity(accumulator, found.codes.len());
        fold(accumulator, &inputs, filter.as_ref(), &numbers, &found.group_of, &stamps, &mut column);
        cells.push(column);
    }
    let cells: Vec<&AccumulatorColumn> = cells.iter().collect();
    Ok(aggregate.finish(&found.counts, &cells).array)
}
