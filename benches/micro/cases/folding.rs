//! Batches into deltas: a chain that has met its keys in one batch takes the next one and flushes.

use super::feed::Feed;
use super::hashes::of_replica;
use super::{Case, using_up};
use std::rc::Rc;

/// What windows are measured with: a count, a sum, an average.
const SUMS: &str = "COUNT(*) AS n, SUM(amount) AS volume, AVG(price) AS price";

/// Windows, as FROM has them.
pub(super) const WINDOWS: [(&str, &str); 6] = [
    ("TUMBLE", "TUMBLE(rows, event_time, INTERVAL '1 second')"),
    ("HOP of 8", "HOP(rows, event_time, INTERVAL '1 second', INTERVAL '8 seconds')"),
    ("HOP of 64", "HOP(rows, event_time, INTERVAL '125 milliseconds', INTERVAL '8 seconds')"),
    ("CUMULATE of 4", "CUMULATE(rows, event_time, INTERVAL '1 second', INTERVAL '4 seconds')"),
    ("SESSION", "SESSION(rows, event_time, INTERVAL '500 milliseconds')"),
    ("no window", ""),
];

/// A metric over windows.
pub(super) fn windowed(window: &str, key: &str, aggregates: &str, filter: &str) -> String {
    match window {
        "" => format!("SELECT {key}, {aggregates} FROM rows {filter} GROUP BY {key}"),
        _ => {
            format!("SELECT {key}, window_start, window_end, {aggregates} FROM {window} {filter} GROUP BY {key}, window_start, window_end")
        }
    }
}

/// The metric that windows are compared by.
pub(super) fn sums_over(window: &str) -> String {
    windowed(window, "channel", SUMS, "")
}

pub(super) fn cases() -> Vec<Case> {
    let windows = WINDOWS.map(|(name, window)| case(format!("window/{name}"), sums_over(window)));
    let (_, tumble) = WINDOWS[0];
    let key = |name: &str, key: &str| case(format!("key/{name}"), windowed(tumble, key, SUMS, ""));
    let aggregates = |name: &str, aggregates: &str| case(format!("aggregates/{name}"), windowed(tumble, "channel", aggregates, ""));
    let others = [
        key("string", "city"),
        key("bigint", "account"),
        key("string and boolean", "city, ok"),
        case("filter/half of the rows".to_owned(), windowed(tumble, "channel", SUMS, "WHERE amount > 500000")),
        aggregates("count", "COUNT(*) AS n"),
        aggregates("min and max", "MIN(amount) AS low, MAX(amount) AS high"),
        aggregates("sum of doubles", "SUM(price) AS price"),
        aggregates("distinct", "APPROX_COUNT_DISTINCT(account) AS accounts"),
    ];
    windows.into_iter().chain(others).collect()
}

fn case(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Rc::new(Feed::new(&select, rows));
        let (warm, next) = (Rc::clone(&feed), Rc::clone(&feed));
        let fresh = move || {
            let mut chain = warm.chain();
            let first = warm.fold(&mut chain, 0, Vec::new());
            (chain, first)
        };
        let fold = move |(mut chain, first)| {
            let second = next.fold(&mut chain, 1, Vec::new());
            (chain, [first, second])
        };
        // How a delta puts it is the fold's own affair: what counts is what a replica makes of it.
        using_up(rows, fresh, fold, move |(_, deltas)| of_replica(&feed.replica_with(&deltas)))
    })
}
