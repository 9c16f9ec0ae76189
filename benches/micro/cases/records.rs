//! Records as archives of the last format version, both ways: what of an archive is keys, numbers and cells lies behind the contract of a store, so
//! each is measured by a record that has little else. A record has an entry per [`super::rows::ROWS_PER_KEY`] rows.

use super::accumulators::Input;
use super::hashes::{of_record, of_texts};
use super::rows::keys_of;
use super::{Case, reading};
use raympp_operators::accumulator::Accumulator;
use raympp_operators::keycode::encode_values;
use raympp_state::checkpoint::place::Table;
use raympp_state::checkpoint::{CheckpointStore, MemoryStore, Pieces, Record, RecordId, SliceId};
use raympp_state::delta::KeyList;
use raympp_testkit::random::Random;
use raympp_types::{DataType, Epoch, PartitionId, StoreUid, StreamId, Value};
use std::collections::BTreeSet;

/// Each kind of cell by an aggregate that has no other, but for a count of NULLs that are none.
const CELLS: [(&str, &str); 10] = [
    ("counts", "COUNT(*) FILTER (WHERE ok)"),
    ("sums of integers", "SUM(amount)"),
    ("sums of doubles", "SUM(price)"),
    ("squares of doubles", "VAR_POP(price)"),
    ("extremes", "MAX(amount)"),
    ("picks", "FIRST_VALUE(city)"),
    ("multisets", "COUNT(DISTINCT city)"),
    ("hyperloglogs", "APPROX_COUNT_DISTINCT(account)"),
    ("ddsketches", "APPROX_PERCENTILE(price, 0.9)"),
    ("count, sum and average", "AVG(amount)"),
];

pub(super) fn cases() -> Vec<Case> {
    let bare = |keys: KeyList| Content {
        record: Record { rows: vec![1; keys.len()], pieces: Pieces::Sliced, keys, columns: vec![] },
        accumulators: vec![],
    };
    let mut cases = Vec::new();
    cases.extend(both_ways("keys, strings", move |rows| bare(names(rows))));
    cases.extend(both_ways("keys, bigint", move |rows| bare(numbers(rows))));
    for bits in [8, 16, 32, 64] {
        cases.extend(both_ways(&format!("numbers of {bits} bits"), move |rows| bare(names(rows)).with_rows(bits)));
    }
    cases.extend(both_ways("times of sessions", move |rows| bare(names(rows)).with_times()));
    for (name, sql) in CELLS {
        cases.extend(both_ways(name, move |rows| Content::of_cells(sql, rows)));
    }
    cases
}

/// Keys as a metric by channel has them.
fn names(rows: usize) -> KeyList {
    let names = (0..keys_of(rows)).map(|key| Value::from(format!("channel {key:05}").as_str()));
    keys(names, DataType::Varchar)
}

/// Keys that share next to nothing.
fn numbers(rows: usize) -> KeyList {
    let mut random = Random::new(1);
    keys((0..keys_of(rows)).map(|_| Value::from(random.bits() as i64)), DataType::BigInt)
}

fn keys(values: impl Iterator<Item = Value>, data_type: DataType) -> KeyList {
    let code = |value: Value| {
        let mut code = Vec::new();
        encode_values(&[value], &[data_type], &mut code).expect("a value of the type");
        code
    };
    let mut keys = KeyList::default();
    values.map(code).collect::<BTreeSet<_>>().iter().for_each(|key| keys.push(key));
    keys
}

/// A record, and what its columns are of.
struct Content {
    record: Record,
    accumulators: Vec<Accumulator>,
}

impl Content {
    fn of_cells(sql: &str, rows: usize) -> Content {
        let input = Input::new(sql, rows, keys_of(rows), 0);
        let columns = input.fold().into_iter().map(Some).collect();
        let mut record = Record { pieces: Pieces::Sliced, keys: names(rows), rows: input.counts(), columns };
        record.drop_identities();
        Content { record, accumulators: input.accumulators() }
    }

    /// With counts of rows that take so many bits.
    fn with_rows(mut self, bits: u32) -> Content {
        let mut random = Random::new(2);
        self.record.rows.iter_mut().for_each(|rows| *rows = random.bits() >> (64 - bits));
        self
    }

    /// As sessions, each within a day.
    fn with_times(mut self) -> Content {
        let mut random = Random::new(3);
        let first_us: Vec<i64> = self.record.rows.iter().map(|_| random.between(0, 86_400_000_000)).collect();
        let last_us = first_us.iter().map(|first| first + random.between(0, 600_000_000)).collect();
        self.record.pieces = Pieces::Sessions { first_us, last_us };
        self
    }
}

fn id() -> RecordId {
    let slice = SliceId { stream: StreamId(0), partition: PartitionId(0), store: StoreUid(0), slice: 0 };
    slice.record(Epoch(0), Epoch(1))
}

fn written(records: &[(RecordId, Record)]) -> MemoryStore {
    let mut store = MemoryStore::new();
    store.write_records(records).expect("memory does not fail");
    store
}

fn both_ways(name: &str, content: impl Fn(usize) -> Content + Copy + 'static) -> [Case; 2] {
    let encode = move |rows| {
        let records = [(id(), content(rows).record)];
        reading(
            records[0].1.len(),
            move || written(&records),
            |store| {
                of_texts([Table::Index, Table::Parts].iter().flat_map(|table| store.archives(*table)).flat_map(|(key, value)| [key, value]))
            },
        )
    };
    let decode = move |rows| {
        let Content { record, accumulators } = content(rows);
        let entries = record.len();
        let store = written(&[(id(), record)]);
        reading(entries, move || store.read(&id(), &accumulators).expect("what was written"), |record| of_record(&record))
    };
    [Case::new(format!("encode/{name}"), encode), Case::new(format!("decode/{name}"), decode)]
}
