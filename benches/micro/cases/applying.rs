//! What a replica does: it applies a delta, closes windows, is copied and exported; and what its readers do.

use super::feed::Feed;
use super::folding::{WINDOWS, sums_over, windowed};
use super::hashes::{of_replica, of_rows, of_texts};
use super::rows::keys_of;
use super::{Case, reading, using_up};
use raympp_state::delta::Mark;
use raympp_state::replica::{Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_types::EventTime;
use std::collections::BTreeSet;

/// Aggregates that a window which slides can't take slices out of, or only at a price.
const OTHER_AGGREGATES: [(&str, &str); 3] = [
    ("min and max", "MIN(amount) AS low, MAX(amount) AS high"),
    ("approximate distinct", "APPROX_COUNT_DISTINCT(account) AS accounts"),
    ("approximate percentile", "APPROX_PERCENTILE(price, 0.9) AS price"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, window) in WINDOWS {
        let select = sums_over(window);
        cases.push(apply(format!("apply/{name}"), select.clone(), true));
        cases.push(look_up(format!("look up/{name}"), select.clone()));
        cases.push(scan(format!("scan/{name}"), select.clone()));
        if !window.is_empty() {
            cases.push(close(format!("close/{name}"), select));
        }
    }
    let (_, tumble) = WINDOWS[0];
    let (hop_name, hop) = WINDOWS[1];
    cases.push(apply("apply new keys/TUMBLE".to_owned(), sums_over(tumble), false));
    for (name, aggregates) in OTHER_AGGREGATES {
        let select = windowed(hop, "channel", aggregates, "");
        cases.push(apply(format!("apply/{hop_name}, {name}"), select.clone(), true));
        cases.push(look_up(format!("look up/{hop_name}, {name}"), select.clone()));
        cases.push(close(format!("close/{hop_name}, {name}"), select));
    }
    cases.extend([copy(format!("copy/{hop_name}"), sums_over(hop)), export(format!("export/{hop_name}"), sums_over(hop))]);
    cases
}

/// Applies a delta whose keys the replica knows, or the first one there is.
fn apply(name: String, select: String, known: bool) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let [first, second] = feed.deltas(Vec::new());
        let (before, next) = if known { (vec![first], second) } else { (vec![], first) };
        let apply = move |mut replica: Replica| {
            replica.apply(&next);
            replica
        };
        using_up(rows, move || feed.replica_with(&before), apply, |replica| of_replica(&replica))
    })
}

fn close(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let deltas = feed.deltas(vec![Mark::End]);
        let fresh = move || feed.replica_with(&deltas);
        let close = |mut replica: Replica| {
            let mut results = Vec::new();
            while replica.close_step(|_| Want::Rows, &mut results) {}
            (replica, results)
        };
        let windows = close(fresh()).0.counters().windows_closed;
        using_up(windows as usize, fresh, close, |(_, results): (Replica, Vec<ResultDelta>)| {
            of_rows(results.iter().map(|result| &result.batch))
        })
    })
}

/// The live window of each key.
fn look_up(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let replica = feed.replica_with(&feed.deltas(Vec::new()));
        let keys: BTreeSet<Vec<u8>> = replica.export(EventTime::MIN).into_iter().map(|group| group.key).collect();
        let look_up = move || keys.iter().filter_map(|key| replica.view().live(feed.metric(), key)).collect::<Vec<_>>();
        reading(keys_of(rows), look_up, |rows| of_rows(&rows))
    })
}

/// All windows of all keys.
fn scan(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let replica = feed.replica_with(&feed.deltas(Vec::new()));
        let scan = move || replica.view().scan(feed.metric(), false);
        let windows: usize = scan().iter().map(|scanned| scanned.rows.batch.num_rows()).sum();
        reading(windows, scan, |scanned| of_rows(scanned.iter().map(|scanned| &scanned.rows.batch)))
    })
}

/// The whole replica, by group and slice.
fn copy(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let replica = feed.replica_with(&feed.deltas(Vec::new()));
        let groups = replica.export(EventTime::MIN).len();
        reading(groups, move || replica.copy(), |copy| of_replica(&copy))
    })
}

/// As `copy`, in canonical form.
fn export(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let replica = feed.replica_with(&feed.deltas(Vec::new()));
        let groups = replica.export(EventTime::MIN).len();
        reading(groups, move || replica.export(EventTime::MIN), |groups| of_texts(groups.iter().map(|group| format!("{group:?}"))))
    })
}
