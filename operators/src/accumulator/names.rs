//! Names of aggregates in SQL, and how many arguments each takes.

use super::aggregate::AggregateFunction;
use AggregateFunction as F;

/// One name, with how many arguments it takes, parameters included.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) function: AggregateFunction,
    pub(super) least: usize,
    pub(super) most: usize,
}

const fn entry(name: &'static str, least: usize, most: usize, function: AggregateFunction) -> Entry {
    Entry { name, function, least, most }
}

/// In alphabetical order. `every`, `stddev` and `variance` are PostgreSQL's other names for what follows them.
const NAMES: [Entry; 22] = [
    entry("approx_count_distinct", 1, 1, F::ApproxCountDistinct),
    entry("approx_median", 1, 1, F::ApproxMedian),
    entry("approx_percentile", 2, 2, F::ApproxPercentile),
    entry("arg_max", 2, 2, F::ArgMax),
    entry("arg_min", 2, 2, F::ArgMin),
    entry("avg", 1, 1, F::Avg),
    entry("bool_and", 1, 1, F::BoolAnd),
    entry("bool_or", 1, 1, F::BoolOr),
    entry("count", 0, 1, F::Count),
    entry("every", 1, 1, F::BoolAnd),
    entry("first_value", 1, 1, F::FirstValue),
    entry("last_value", 1, 1, F::LastValue),
    entry("max", 1, 1, F::Max),
    entry("min", 1, 1, F::Min),
    entry("stddev", 1, 1, F::StddevSamp),
    entry("stddev_pop", 1, 1, F::StddevPop),
    entry("stddev_samp", 1, 1, F::StddevSamp),
    entry("sum", 1, 1, F::Sum),
    entry("top_k", 2, 2, F::TopK),
    entry("var_pop", 1, 1, F::VarPop),
    entry("var_samp", 1, 1, F::VarSamp),
    entry("variance", 1, 1, F::VarSamp),
];

/// The aggregate of this lower-case name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    NAMES.iter().find(|entry| entry.name == name)
}

/// All names, in alphabetical order.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|entry| entry.name)
}
