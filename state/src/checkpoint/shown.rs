//! What a sink of changes shows: the (key, window) pairs that were upserted and neither deleted nor made final.
//!
//! They are kept beside the groups of the sink's stream, as a store of their own. A record of it names the pairs that were *turned* between two
//! barriers: those that began or ceased to be shown, an odd number of times. What is shown at a barrier is the symmetric difference of the records up
//! to there, so records are merged in any order, a pair that came and went in between vanishes, and a record is as large as what changed.

use super::commit::StoreCommit;
use super::error::StoreError;
use super::record::{Columns, Pieces, Record, RecordId};
use super::store::CheckpointStore;
use crate::delta::KeyList;
use raympp_types::StoreUid;
use std::collections::BTreeSet;

/// A key in canonical bytes and the start and end of its window in microseconds; both 0 without windows.
pub type KeyWindow = (Box<[u8]>, i64, i64);

/// Pairs that are shown, or that were turned.
pub type Shown = BTreeSet<KeyWindow>;

/// What the description of such a store begins with.
const DESCRIPTION: &str = "changes shown by sink ";

/// Its columns: none.
pub const COLUMNS: Columns = Columns { stored: 0, wanted: Vec::new() };

/// Turns each of these pairs: it is in `shown` afterwards iff it was not.
pub fn turn(shown: &mut Shown, turned: impl IntoIterator<Item = KeyWindow>) {
    for pair in turned {
        if !shown.remove(&pair) {
            shown.insert(pair);
        }
    }
}

/// The record that names these pairs.
pub fn to_record(turned: &Shown) -> Record {
    let mut names: Vec<Vec<u8>> = turned.iter().map(name_of).collect();
    names.sort_unstable();
    let mut keys = KeyList::default();
    names.iter().for_each(|name| keys.push(name));
    Record { pieces: Pieces::Sliced, keys, rows: vec![1; names.len()], columns: Vec::new() }
}

/// What is turned by these records together.
///
/// # Errors
/// What the store says; [`super::StoreErrorKind::Damaged`] if a record names something else.
pub fn read(store: &dyn CheckpointStore, records: &[RecordId]) -> Result<Shown, StoreError> {
    let records = records.iter().map(|id| store.read_columns(id, &COLUMNS)).collect::<Result<Vec<_>, _>>()?;
    of_records(&records)
}

/// What is turned by these records together.
///
/// # Errors
/// [`super::StoreErrorKind::Damaged`] if a record names something else.
pub fn of_records(records: &[Record]) -> Result<Shown, StoreError> {
    let mut shown = Shown::new();
    for name in records.iter().flat_map(|record| record.keys.iter()) {
        let damaged = || StoreError::damaged("the changes that a sink shows", "a key in there has no window");
        turn(&mut shown, [pair_of(name).ok_or_else(damaged)?]);
    }
    Ok(shown)
}

/// The store of a sink's pairs, as a commit record names it.
pub fn store_of(sink: &str, uid: StoreUid) -> StoreCommit {
    StoreCommit { uid, description: format!("{DESCRIPTION}{sink}"), accumulators: Vec::new() }
}

/// The sink whose pairs a store holds, if it is such a store.
pub fn sink_of(store: &StoreCommit) -> Option<&str> {
    store.description.strip_prefix(DESCRIPTION)
}

/// The bounds stand behind the key as they are: nobody needs the order of windows.
fn name_of((key, start_us, end_us): &KeyWindow) -> Vec<u8> {
    [&**key, &start_us.to_be_bytes(), &end_us.to_be_bytes()].concat()
}

fn pair_of(name: &[u8]) -> Option<KeyWindow> {
    let (rest, end_us) = name.split_last_chunk()?;
    let (key, start_us) = rest.split_last_chunk()?;
    Some((key.into(), i64::from_be_bytes(*start_us), i64::from_be_bytes(*end_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, start_us: i64) -> KeyWindow {
        (key.as_bytes().into(), start_us, start_us.saturating_add(10))
    }

    #[test]
    fn pairs_come_back_and_what_is_turned_twice_is_as_it_was() {
        let long = pair("aaaaaaaaaaaaaaaaaaaaaaaa", i64::MIN);
        let pairs = Shown::from([pair("", 0), pair("a", -10), pair("a", 5), long.clone()]);
        let record = to_record(&pairs);
        assert_eq!(record.fault(), None);
        assert_eq!(of_records(std::slice::from_ref(&record)).unwrap(), pairs);
        let other = to_record(&Shown::from([pair("b", 0), pair("a", 5)]));
        assert_eq!(of_records(&[record, other]).unwrap(), Shown::from([pair("", 0), pair("a", -10), long, pair("b", 0)]));
    }

    #[test]
    fn a_name_without_a_window_is_damaged() {
        let mut record = to_record(&Shown::new());
        record.keys.push(b"short");
        record.rows.push(1);
        assert!(of_records(&[record]).is_err());
    }
}
