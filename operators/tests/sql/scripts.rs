//! Binds scripts and shows what came out.

use expect_test::ExpectFile;
use raympp_operators::sql::{BoundScript, Catalog, Explained, SqlError, Statement, bind_script, describe};
use std::fmt::Write;
use std::sync::LazyLock;

/// What most cases build on.
pub(crate) const BASE: &str = "\
CREATE STREAM payments (
  payment_id BIGINT, channel VARCHAR, status VARCHAR, amount DECIMAL(18,2), retries SMALLINT, items INTEGER,
  score REAL, risk DOUBLE PRECISION, test BOOLEAN, token BYTEA, day DATE, took INTERVAL,
  event_time TIMESTAMP, received TIMESTAMPTZ,
  WATERMARK FOR event_time AS event_time - INTERVAL '2 seconds'
) WITH (connector = 'payments', rows = 1000);
CREATE STREAM clicks (user_id BIGINT, page VARCHAR, at TIMESTAMPTZ, other TIMESTAMP);
CREATE METRIC rates AS
SELECT channel, window_start, window_end, COUNT(*) AS payments, SUM(amount) AS volume, AVG(risk) AS risk
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
GROUP BY channel, window_start, window_end;
CREATE METRIC totals AS SELECT channel, status, COUNT(*) AS payments FROM payments GROUP BY channel, status;
CREATE METRIC everything AS SELECT COUNT(*) AS payments FROM payments;
CREATE SINK rates_out FROM rates WITH (connector = 'file', path = 'out/rates');
CREATE SINK late_out FROM payments_late WITH (connector = 'stdout');
";

/// The catalog after [`BASE`].
pub(crate) fn base() -> Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| match bind_script(BASE, &Catalog::default()) {
        Ok(script) => script.catalog,
        Err(error) => panic!("the base script must bind: {error}"),
    });
    CATALOG.clone()
}

/// Binds a script on top of [`BASE`].
pub(crate) fn bind(script: &str) -> Result<BoundScript, SqlError> {
    bind_script(script, &base())
}

/// Binds each script on top of [`BASE`] and compares scripts and plans with the snapshot.
pub(crate) fn check(scripts: &[&str], snapshot: ExpectFile) {
    let mut text = String::new();
    for script in scripts {
        let result: String = match bind(script) {
            Ok(script) => script.statements.iter().map(|statement| shown(statement, &script.catalog)).collect(),
            Err(error) => panic!("{script}\n{error}"),
        };
        add_case(&mut text, script, &result);
    }
    snapshot.assert_eq(&text);
}

pub(crate) fn add_case(text: &mut String, script: &str, result: &str) {
    let _ = write!(text, "{}\n--\n{}\n\n", script.trim_end(), result.trim_end());
}

fn shown(statement: &Statement, catalog: &Catalog) -> String {
    match statement {
        Statement::CreateStream { plan } => format!("create {}", describe::stream(plan)),
        Statement::CreateMetric { plan, stream } => format!("create {}", describe::metric(plan, stream)),
        Statement::CreateSink { plan } => format!("create {}", describe::sink(plan)),
        Statement::Drop { kind, name } => format!("drop {} {name}\n", kind.noun()),
        Statement::Show(kind) => format!("show {}s: {}\n", kind.noun(), catalog.names(*kind).join(", ")),
        Statement::Describe { kind, name } => format!("describe {} {name}\n", kind.noun()),
        Statement::DescribeLateRows { stream } => format!("describe {}", describe::late_rows(stream)),
        Statement::Explain(Explained::Metric { plan, stream }) => format!("explain {}", describe::metric(plan, stream)),
        Statement::Explain(Explained::Select(plan)) => format!("explain {}", describe::select(plan)),
        Statement::Select(plan) => describe::select(plan),
        Statement::NoOp { notice } => format!("notice: {notice}\n"),
    }
}
