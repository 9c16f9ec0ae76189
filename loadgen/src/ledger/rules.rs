//! What each metric of a workload counts, in plain code: which rows, for which key, what is kept, and what a result row shows of it.

use super::Text;
use super::cells::{Cell, Cells, Place};
use arrow::array::RecordBatch;
use raympp_engine::Value;
use raympp_operators::expr::arrow_types::value_at;

/// A metric's rule.
pub(super) struct Rule {
    /// The key of a row; `None` if WHERE removes it.
    pub(super) key: fn(&Columns<'_>, usize) -> Option<Vec<Text>>,
    /// What a row adds to its groups.
    pub(super) cells: fn(&Columns<'_>, usize, Place) -> Cells,
    /// What a result row shows behind its key and window.
    pub(super) results: fn(&Cells) -> Vec<Text>,
}

/// A batch's columns by name.
pub(super) struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    pub(super) fn new(rows: &'a RecordBatch) -> Columns<'a> {
        Columns(rows)
    }

    fn value(&self, column: &str, row: usize) -> Value {
        self.0.column_by_name(column).map_or(Value::Null, |values| value_at(values, row))
    }

    fn text(&self, column: &str, row: usize) -> Text {
        self.value(column, row).to_string().into()
    }

    fn is(&self, column: &str, row: usize, text: &str) -> bool {
        matches!(self.value(column, row), Value::Varchar(value) if *value == *text)
    }

    /// A whole number, unless it is NULL.
    fn number(&self, column: &str, row: usize) -> Option<i64> {
        match self.value(column, row) {
            Value::BigInt(number) | Value::Timestamp(number) => Some(number),
            Value::Integer(number) => Some(number.into()),
            _ => None,
        }
    }

    /// One that is never NULL in the workloads.
    fn whole(&self, column: &str, row: usize) -> i64 {
        self.number(column, row).unwrap_or_default()
    }
}

/// The rule of a metric, by its name in the workloads' scripts.
pub(super) fn rule_of(metric: &str) -> Option<Rule> {
    Some(match metric {
        "success" => SUCCESS,
        "merchant_success" => Rule { key: |rows, row| Some(vec![rows.text("merchant", row)]), ..SUCCESS },
        "q5" => Rule { key: |rows, row| Some(vec![rows.text("auction", row)]), ..COUNT },
        "q7" => Q7,
        "q11" | "q12" => Rule { key: |rows, row| Some(vec![rows.text("bidder", row)]), ..COUNT },
        "q15" => Q15,
        "q16" => Q16,
        "q17" => Q17,
        "views" => VIEWS,
        "carrier_reliability" => CARRIERS,
        "airport_delays" => AIRPORTS,
        _ => return None,
    })
}

fn texts(values: impl IntoIterator<Item = Value>) -> Vec<Text> {
    values.into_iter().map(|value| value.to_string().into()).collect()
}

fn whole(number: impl TryInto<i64>) -> Value {
    number.try_into().map_or(Value::Null, Value::BigInt)
}

/// As SUM of integers shows it.
fn decimal(sum: i128) -> Value {
    Value::Decimal { unscaled: sum, precision: 38, scale: 0 }
}

/// A quotient of whole numbers, rounded once; both are far below 2^53 here.
fn quotient(dividend: i128, divisor: i128) -> Value {
    if divisor == 0 { Value::Null } else { Value::Double(dividend as f64 / divisor as f64) }
}

const COUNT: Rule =
    Rule { key: |_, _| Some(Vec::new()), cells: |_, _, _| Cells(vec![Cell::Sum(1)]), results: |cells| texts([whole(cells.sum(0))]) };

const SUCCESS: Rule = Rule {
    key: |rows, row| Some(vec![rows.text("channel", row)]),
    cells: |rows, row, _| {
        Cells(vec![Cell::Sum(1), Cell::count(rows.is("status", row, "SUCCESS")), Cell::Sum(rows.whole("amount", row).into())])
    },
    results: |cells| texts([whole(cells.sum(0)), quotient(cells.sum(1), cells.sum(0)), decimal(cells.sum(2))]),
};

const Q7: Rule = Rule {
    cells: |rows, row, place| Cells(vec![Cell::arg_max(rows.whole("price", row), place, rows.whole("bidder", row))]),
    results: |cells| texts([cells.extreme(0).map_or(Value::Null, Value::BigInt), whole(cells.beside_highest(0))]),
    ..COUNT
};

/// Which of the ranks of prices a bid belongs to.
fn ranks(price: i64) -> [bool; 3] {
    [price < 10_000, (10_000..1_000_000).contains(&price), price >= 1_000_000]
}

/// Rows, then rows by rank.
fn bids_by_rank(price: i64) -> impl Iterator<Item = Cell> {
    std::iter::once(Cell::Sum(1)).chain(ranks(price).into_iter().map(Cell::count))
}

/// Different values, then those of each rank.
fn values_by_rank(value: i64, price: i64) -> impl Iterator<Item = Cell> {
    std::iter::once(true).chain(ranks(price)).map(move |counts| Cell::distinct(value, counts))
}

/// Bids, different bidders and different auctions, each as a whole and by rank.
fn ranked(rows: &Columns<'_>, row: usize) -> impl Iterator<Item = Cell> + use<> {
    let price = rows.whole("price", row);
    let people = values_by_rank(rows.whole("bidder", row), price);
    bids_by_rank(price).chain(people).chain(values_by_rank(rows.whole("auction", row), price))
}

/// What the cells of [`ranked`] show, which begin at this one.
fn ranked_results(cells: &Cells, first: usize) -> impl Iterator<Item = Value> {
    let bids = (first..first + 4).map(|cell| whole(cells.sum(cell)));
    bids.chain((first + 4..first + 12).map(|cell| whole(cells.distinct(cell))))
}

const Q15: Rule =
    Rule { cells: |rows, row, _| Cells(ranked(rows, row).collect()), results: |cells| texts(ranked_results(cells, 0)), ..COUNT };

const Q16: Rule = Rule {
    key: |rows, row| Some(vec![rows.text("channel", row)]),
    cells: |rows, row, place| Cells(std::iter::once(Cell::Max(Some(place.time_us))).chain(ranked(rows, row)).collect()),
    results: |cells| {
        let latest = cells.extreme(0).map_or(Value::Null, Value::Timestamp);
        texts(std::iter::once(latest).chain(ranked_results(cells, 1)))
    },
};

const Q17: Rule = Rule {
    key: |rows, row| Some(vec![rows.text("auction", row)]),
    cells: |rows, row, _| {
        let price = rows.whole("price", row);
        let prices = [Cell::Min(Some(price)), Cell::Max(Some(price)), Cell::Sum(price.into())];
        Cells(bids_by_rank(price).chain(prices).collect())
    },
    results: |cells| {
        let extremes = [4, 5].map(|cell| cells.extreme(cell).map_or(Value::Null, Value::BigInt));
        let prices = [quotient(cells.sum(6), cells.sum(0)), decimal(cells.sum(6))];
        texts((0..4).map(|cell| whole(cells.sum(cell))).chain(extremes).chain(prices))
    },
};

const VIEWS: Rule = Rule {
    key: |rows, row| rows.is("event_type", row, "view").then(|| vec![(rows.whole("ad_id", row) / 10).to_string().into()]),
    cells: |_, _, place| Cells(vec![Cell::Sum(1), Cell::Max(Some(place.time_us))]),
    results: |cells| texts([whole(cells.sum(0)), cells.extreme(1).map_or(Value::Null, Value::Timestamp)]),
};

const CARRIERS: Rule = Rule {
    key: |rows, row| Some(vec![rows.text("carrier", row)]),
    cells: |rows, row, _| {
        let is = |status| Cell::count(rows.is("status", row, status));
        Cells(vec![Cell::Sum(1), is("ON_TIME"), is("CANCELLED")])
    },
    results: |cells| texts([0, 1, 2].map(|cell| whole(cells.sum(cell)))),
};

const AIRPORTS: Rule = Rule {
    key: |rows, row| (!rows.is("status", row, "CANCELLED")).then(|| vec![rows.text("origin", row)]),
    cells: |rows, row, _| {
        let delay = rows.number("arr_delay_min", row);
        let sum = Cell::Sum(delay.unwrap_or(0).into());
        Cells(vec![Cell::Sum(1), Cell::count(delay.is_some()), sum, Cell::Max(delay)])
    },
    results: |cells| {
        let worst = cells.extreme(3).and_then(|delay| i32::try_from(delay).ok()).map_or(Value::Null, Value::Integer);
        texts([whole(cells.sum(0)), quotient(cells.sum(2), cells.sum(1)), worst])
    },
};
