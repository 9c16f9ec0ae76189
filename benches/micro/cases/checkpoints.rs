//! From deltas to the records of an epoch, and from records to a replica.

use super::feed::{Feed, barrier};
use super::folding::{WINDOWS, sums_over};
use super::hashes::{of_record, of_replica, of_texts};
use super::{Case, reading, using_up};
use raympp_operators::sharing::StoreKind;
use raympp_state::checkpoint::{Record, SessionMerge};
use raympp_state::epoch_list::{EpochList, EpochLists};
use raympp_state::replica::{Counters, Replica, RestorePoint};
use raympp_types::KeyGroups;
use std::collections::HashMap;
use std::rc::Rc;

pub(super) fn cases() -> Vec<Case> {
    let of_window = |(name, window): (&str, &str)| {
        let select = sums_over(window);
        [
            take(format!("take a delta/{name}"), select.clone()),
            complete(format!("export touched entries/{name}"), select.clone()),
            restore(format!("restore/{name}"), select.clone()),
            merge(format!("merge two records/{name}"), select),
        ]
    };
    // To a checkpoint a window is the slices it is made of.
    let windows = WINDOWS.into_iter().filter(|(name, _)| matches!(*name, "TUMBLE" | "HOP of 64" | "SESSION"));
    windows.flat_map(of_window).chain([split("split by partition/TUMBLE", sums_over(WINDOWS[0].1))]).collect()
}

/// The first epoch's lists, ended or not.
fn lists(feed: &Feed) -> EpochLists {
    let mut lists = feed.lists();
    feed.deltas(vec![barrier()]).iter().for_each(|delta| lists.take(delta));
    lists
}

/// The first epoch's list.
pub(super) fn list(feed: &Feed) -> EpochList {
    completed(lists(feed)).1
}

fn completed(mut lists: EpochLists) -> (EpochLists, EpochList) {
    let list = lists.take_complete(|| ()).expect("the only split has passed the barrier");
    (lists, list)
}

/// Entries of all its records.
pub(super) fn entries(list: &EpochList) -> usize {
    list.records.values().map(Record::len).sum()
}

fn of_list(list: &EpochList) -> u64 {
    of_texts(list.records.iter().map(|((store, slice), record)| format!("{store} {slice} {}", of_record(record))))
}

/// Takes a delta whose keys the lists know.
fn take(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let [first, second] = feed.deltas(vec![barrier()]);
        let fresh = move || {
            let mut lists = feed.lists();
            lists.take(&first);
            lists
        };
        let take = move |mut lists: EpochLists| {
            lists.take(&second);
            lists
        };
        using_up(rows, fresh, take, |lists| of_list(&completed(lists).1))
    })
}

/// Makes records of what two deltas have touched.
fn complete(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        using_up(entries(&list(&feed)), move || lists(&feed), completed, |(_, list)| of_list(&list))
    })
}

/// By store and slice.
type Records = Vec<((usize, i64), Record)>;

fn restore(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let list = Rc::new(list(&feed));
        let (count, records) = (entries(&list), Rc::clone(&list));
        let restore = move |(mut replica, records): (Replica, Records)| {
            records.into_iter().for_each(|((store, slice), record)| replica.load(store, slice, record));
            replica.resume(RestorePoint {
                epoch: list.epoch,
                splits: list.splits.clone(),
                frontier: list.frontier,
                first_after: HashMap::new(),
                counters: Counters::default(),
                bad_by_store: list.uncounted.bad_by_store.clone(),
            });
            replica
        };
        let fresh = move || (feed.replica(), records.records.clone().into_iter().collect());
        using_up(count, fresh, restore, |replica| of_replica(&replica))
    })
}

/// Merges the records of two epochs that have the same rows: all keys are in both.
fn merge(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let list = list(&feed);
        let kind = feed.plan().stores[0].as_ref().expect("the metric's store").kind;
        let sessions = if let StoreKind::Sessions { gap_us } = kind { Some(SessionMerge { gap_us, over_us: None }) } else { None };
        let count = 2 * entries(&list);
        let merge = move || list.records.values().map(|record| Record::merge(&[record, record], sessions)).collect::<Vec<_>>();
        reading(count, merge, |records| of_texts(records.iter().map(|record| of_record(record).to_le_bytes())))
    })
}

/// Deals records out to other partitions than they were written by.
fn split(name: &str, select: String) -> Case {
    Case::new(name, move |rows| {
        let list = list(&Feed::new(&select, rows));
        let groups = KeyGroups::new(KeyGroups::GROUPS_DEFAULT, 8).expect("eight partitions");
        let count = entries(&list);
        let split = move || list.records.values().map(|record| record.by_partition(groups)).collect::<Vec<_>>();
        let of_parts = |(partition, record): (&_, &_)| format!("{partition:?} {}", of_record(record));
        reading(count, split, move |parts| of_texts(parts.iter().flatten().map(of_parts)))
    })
}
