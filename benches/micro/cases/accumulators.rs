//! Aggregates, each in three parts: rows into cells, cells into cells, cells into results. Rows are of [`ROWS_PER_CELL`] a cell in random order; merging
//! and finishing count by cell.

use super::hashes::{of_cells, of_column};
use super::rows::{batch, metric, position};
use super::{Case, reading, using_up};
use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::TimestampMicrosecondType;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, Aggregate, RowOffsets, RowStamps, fold};
use raympp_operators::expr::Expr;
use raympp_testkit::random::Random;
use raympp_types::{Offset, SplitId};

const ROWS_PER_CELL: usize = 64;

const AGGREGATES: [&str; 30] = [
    "COUNT(note)",
    "COUNT(*) FILTER (WHERE ok)",
    "SUM(small)",
    "SUM(whole)",
    "SUM(amount)",
    "SUM(ratio)",
    "SUM(price)",
    "SUM(fee)",
    "AVG(amount)",
    "AVG(price)",
    "AVG(fee)",
    "MIN(amount)",
    "MAX(amount)",
    "MAX(price)",
    "MIN(city)",
    "MAX(event_time)",
    "STDDEV_SAMP(amount)",
    "VAR_POP(price)",
    "VAR_SAMP(fee)",
    "BOOL_AND(ok)",
    "FIRST_VALUE(city)",
    "LAST_VALUE(amount)",
    "ARG_MIN(city, amount)",
    "ARG_MAX(amount, price)",
    "COUNT(DISTINCT city)",
    "SUM(DISTINCT whole)",
    "APPROX_COUNT_DISTINCT(account)",
    "APPROX_PERCENTILE(price, 0.9)",
    "TOP_K(city, 3)",
    "TOP_K(small, 3)",
];

pub(super) fn cases() -> Vec<Case> {
    AGGREGATES.iter().flat_map(|sql| cases_of(sql)).collect()
}

fn cases_of(sql: &'static str) -> [Case; 3] {
    [
        Case::new(format!("{sql}/update"), |rows| {
            let input = Input::new(sql, rows, cells_of(rows), 0);
            reading(rows, move || input.fold(), |cells| of_cells(&cells))
        }),
        Case::new(format!("{sql}/merge"), |rows| {
            let (one, other) = (Input::new(sql, rows, cells_of(rows), 0).fold(), Input::new(sql, rows, cells_of(rows), 1).fold());
            let merge = move |mut cells: Vec<AccumulatorColumn>| {
                for (cells, others) in cells.iter_mut().zip(&other) {
                    (0..others.len()).for_each(|i| cells.merge_cell(i, others, i));
                }
                cells
            };
            using_up(cells_of(rows), move || one.clone(), merge, |cells| of_cells(&cells))
        }),
        Case::new(format!("{sql}/result"), |rows| {
            let input = Input::new(sql, rows, cells_of(rows), 0);
            let (counts, cells) = (input.counts(), input.fold());
            let finish = move || input.aggregate.finish(&counts, &cells.iter().collect::<Vec<_>>());
            reading(cells_of(rows), finish, |finished| of_column(&finished.array))
        }),
    ]
}

fn cells_of(rows: usize) -> usize {
    rows.div_ceil(ROWS_PER_CELL)
}

/// Rows on their way into cells.
pub(super) struct Input {
    aggregate: Aggregate,
    columns: Vec<Columns>,
    rows: Vec<u32>,
    /// Number of cells.
    groups: usize,
    /// The cell of each row.
    cells: Vec<u32>,
    event_times_us: Vec<i64>,
    from: Offset,
}

/// What one accumulator reads.
struct Columns {
    accumulator: Accumulator,
    inputs: Vec<ArrayRef>,
    filter: Option<BooleanArray>,
}

impl Input {
    /// Rows of batch `number`, spread over so many cells.
    pub(super) fn new(sql: &str, rows: usize, cells: usize, number: i64) -> Input {
        let batch = batch(rows, number);
        let aggregate = metric(&format!("SELECT {sql} AS x FROM rows")).aggregates[0].clone();
        let mut random = Random::new(7);
        let evaluate = |expr: &Expr| expr.evaluate(&batch, None).values;
        let columns_of = |accumulator: Accumulator| {
            let inputs = accumulator.inputs().iter().map(evaluate).collect();
            let filter = accumulator.filter().map(|filter| evaluate(filter).as_boolean().clone());
            Columns { accumulator, inputs, filter }
        };
        Input {
            columns: aggregate.lower().accumulators.into_iter().map(columns_of).collect(),
            aggregate,
            rows: (0..rows as u32).collect(),
            groups: cells,
            cells: (0..rows).map(|_| random.index(cells) as u32).collect(),
            event_times_us: batch.column(position("event_time")).as_primitive::<TimestampMicrosecondType>().values().to_vec(),
            from: Offset(number as u64 * rows as u64),
        }
    }

    /// What the cells are of.
    pub(super) fn accumulators(&self) -> Vec<Accumulator> {
        self.columns.iter().map(|columns| columns.accumulator.clone()).collect()
    }

    /// Rows of each cell.
    pub(super) fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.groups];
        self.cells.iter().for_each(|&cell| counts[cell as usize] += 1);
        counts
    }

    /// The cells, by accumulator.
    pub(super) fn fold(&self) -> Vec<AccumulatorColumn> {
        let stamps = RowStamps { event_times_us: &self.event_times_us, split: SplitId(0), offsets: RowOffsets::From(self.from) };
        let fold_one = |Columns { accumulator, inputs, filter }: &Columns| {
            let mut cells = AccumulatorColumn::identity(accumulator, self.groups);
            fold(accumulator, inputs, filter.as_ref(), &self.rows, &self.cells, &stamps, &mut cells);
            cells
        };
        self.columns.iter().map(fold_one).collect()
    }
}
