//! Small streams written by hand: rows as tuples, results as tables.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, Rejected, Rows};
use raympp_state::delta::{Delta, Mark};
use raympp_state::replica::{Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_testkit::rows::pretty;
use raympp_testkit::script::{StreamScript, bind};
use raympp_types::{KeyGroups, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::sync::Arc;

/// Microseconds in a second.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// A row: key, value, event time in seconds.
pub(crate) type Row<'a> = (Option<&'a str>, Option<i64>, f64);

/// Binds `CREATE STREAM s (k VARCHAR, v BIGINT, et TIMESTAMP …)` with a bound of 2 seconds and these statements.
pub(crate) fn script(metrics: &str) -> StreamScript {
    let stream = "CREATE STREAM s (k VARCHAR, v BIGINT, et TIMESTAMP, WATERMARK FOR et AS et - INTERVAL '2 seconds');\n";
    bind(&format!("{stream}{metrics}"))
}

/// A count and a sum by key in windows of ten seconds.
pub(crate) fn counts() -> StreamScript {
    script(
        "CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total \
         FROM TUMBLE(s, et, INTERVAL '10 seconds') GROUP BY k, window_start;",
    )
}

pub(crate) fn plan_of(script: &StreamScript) -> Arc<SharedPlan> {
    Arc::new(SharedPlan::of(PlanVersion(1), &script.metrics))
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>())),
        ("v", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
        ("et", Arc::new(rows.iter().map(|row| Some((row.2 * SECOND_US as f64) as i64)).collect::<TimestampMicrosecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns of one length")
}

/// Rows `(key, event time in seconds)` with value 1.
pub(crate) fn ones(rows: &[(&'static str, f64)]) -> RecordBatch {
    batch(&rows.iter().map(|&(key, at)| (Some(key), Some(1), at)).collect::<Vec<Row>>())
}

/// A chain of a split that goes on at an offset, for one partition.
pub(crate) fn chain(script: &StreamScript, plan: &SharedPlan, split: u32, term: u64, at: u64, watermark: RunningWatermark) -> Chain {
    let key_groups = KeyGroups::new(KeyGroups::GROUPS_DEFAULT, 1).expect("valid");
    let options = crate::harness::chain_options(script);
    Chain::open(SplitId(split), SplitTerm(term), Offset(at), watermark, options, plan, key_groups)
}

/// A chain from the beginning of a split.
pub(crate) fn first_chain(script: &StreamScript, plan: &SharedPlan, split: u32) -> Chain {
    chain(script, plan, split, 1, 0, RunningWatermark::default())
}

pub(crate) fn push(chain: &mut Chain, batch: &RecordBatch) -> Vec<Rejected> {
    let from = chain.offset();
    chain.push(&Rows { from, to: Offset(from.0 + batch.num_rows() as u64), batch, row_offsets: None, undecodable: 0 })
}

/// Pushes rows and cuts a delta behind them.
pub(crate) fn delta(chain: &mut Chain, batch: &RecordBatch, marks: Vec<Mark>) -> Arc<Delta> {
    push(chain, batch);
    Arc::new(chain.flush(marks).expect("rows or marks"))
}

/// A replica of the only partition.
pub(crate) fn replica(script: &StreamScript, plan: &Arc<SharedPlan>, splits: &[u32]) -> Replica {
    let splits: Vec<SplitId> = splits.iter().map(|&split| SplitId(split)).collect();
    Replica::new(PartitionId(0), Arc::clone(plan), script.stream.bound_us, raympp_types::DataType::Timestamp, &splits)
}

pub(crate) fn close(replica: &mut Replica) -> Vec<ResultDelta> {
    let mut results = Vec::new();
    while replica.close_step(|_| Want::Rows, &mut results) {}
    results
}

/// Rows of one metric as one table.
pub(crate) fn table(results: &[ResultDelta], metric: u32) -> String {
    let batches: Vec<RecordBatch> =
        results.iter().filter(|result| result.metric == MetricId(metric) && result.batch.num_rows() > 0).map(plain).collect();
    match batches.first() {
        None => String::new(),
        Some(first) => pretty(&arrow::compute::concat_batches(&first.schema(), &batches).expect("one schema")),
    }
}

/// A result without dictionaries.
fn plain(result: &ResultDelta) -> RecordBatch {
    let column = |column: &ArrayRef| match column.data_type() {
        arrow::datatypes::DataType::Dictionary(_, values) => arrow::compute::cast(column, values).expect("a dictionary holds its values"),
        _ => Arc::clone(column),
    };
    let columns = result.batch.columns().iter().map(column);
    let schema = result.batch.schema();
    let named = schema.fields().iter().zip(columns).map(|(field, column)| (field.name().clone(), column, true));
    RecordBatch::try_from_iter_with_nullable(named).expect("columns of one length")
}
