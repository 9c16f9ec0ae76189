//! One database: its source, its stream, and the subscription to that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use laminar_db::subscription::{PortalFrame, SubscribeStart, SubscriptionPortal};
use laminar_db::{DbError, LaminarDB, UntypedSourceHandle};
use peer_common::{Args, Clock, Error, LATENESS_US, Query, Results, Run};
use tokio::sync::watch;

use crate::columns::{self, Batches};

/// How long the state of a hopping window of ten thousand channels may get: the default of 256 MiB is for fewer.
const STATE_BYTES: usize = 8 << 30;

/// How long a full source is left alone.
const PAUSE: Duration = Duration::from_micros(100);

/// A database from nothing.
pub struct Session {
    db: Arc<LaminarDB>,
}

impl Session {
    /// Opens a database in memory, and starts the query.
    pub async fn open(args: &Args) -> Result<Self, Error> {
        let db = LaminarDB::builder()
            .target_partitions(args.threads)
            .pipeline_max_managed_state_bytes(STATE_BYTES)
            // The rows' time is not this machine's.
            .event_time_max_future_skew(Duration::ZERO)
            .build()
            .await?;
        db.execute(&source()).await?;
        match db.execute(&stream(args.query)).await {
            Err(DbError::Unsupported(reason)) => return Err(Error::Unsupported(reason)),
            done => done?,
        };
        db.start().await?;
        Ok(Self { db })
    }

    /// Pushes all batches, and takes all results.
    pub async fn run(&self, batches: &Batches) -> Result<Run, Error> {
        let source = self.db.source_untyped("payments")?;
        let mut portal = self.db.open_subscription("metric", None, SubscribeStart::Tail).await?;
        let (closed, is_closed) = watch::channel(i64::MIN);
        let pushing = push(source, batches, is_closed);

        let clock = Clock::start();
        let pushing = tokio::spawn(pushing);
        let (results, ended) = take(&mut portal, batches.end_us, &closed).await?;
        let took = clock.stop_at(ended);
        pushing.await??;
        Ok(Run { results, took, chosen: None })
    }

    /// Ends the database.
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.db.shutdown().await?)
    }
}

fn source() -> String {
    format!(
        "CREATE SOURCE payments (channel INT, status TINYINT, amount BIGINT, event_time TIMESTAMP, \
         WATERMARK FOR event_time AS event_time - INTERVAL '{}' MILLISECOND)",
        LATENESS_US / 1000
    )
}

fn stream(query: Query) -> String {
    let (slide, size) = (query.slide_us / 1_000_000, query.size_us / 1_000_000);
    let (start, end) = if query.slides() == 1 {
        let arguments = format!("(event_time, INTERVAL '{size}' SECOND)");
        (format!("TUMBLE{arguments}"), format!("TUMBLE_END{arguments}"))
    } else {
        let arguments = format!("(event_time, INTERVAL '{slide}' SECOND, INTERVAL '{size}' SECOND)");
        (format!("HOP{arguments}"), format!("HOP_END{arguments}"))
    };
    format!(
        "CREATE STREAM metric AS SELECT channel, {end} AS window_end, COUNT(*) AS payments, \
         COUNT(*) FILTER (WHERE status = 0) AS successes, SUM(amount) AS volume FROM payments WHERE amount > 0 \
         GROUP BY channel, {start}, {end} EMIT ON WINDOW CLOSE"
    )
}

/// Pushes the rows, then the rows that close their windows, each when the window before is closed.
fn push(
    source: UntypedSourceHandle,
    batches: &Batches,
    mut is_closed: watch::Receiver<i64>,
) -> impl Future<Output = Result<(), Error>> + Send + 'static {
    let (rows, closing) = (batches.rows.clone(), batches.closing.clone());
    async move {
        for batch in rows {
            push_batch(&source, &batch).await?;
        }
        let mut before_us = i64::MIN;
        for (closes_us, batch) in closing {
            is_closed.wait_for(|closed_us| *closed_us >= before_us).await?;
            push_batch(&source, &batch).await?;
            before_us = closes_us;
        }
        Ok(())
    }
}

async fn push_batch(source: &UntypedSourceHandle, batch: &RecordBatch) -> Result<(), Error> {
    while source.is_backpressured() {
        // A source says that it is full, and not when it is no longer.
        tokio::time::sleep(PAUSE).await;
    }
    Ok(source.push_arrow(batch.clone())?)
}

/// Takes the results, and says when the last of them came. That they were the last is known from what comes after them.
async fn take(portal: &mut SubscriptionPortal, end_us: i64, closed: &watch::Sender<i64>) -> Result<(Results, Instant), Error> {
    let mut results = Results::default();
    let mut ended = Instant::now();
    while let Some(frame) = portal.next_frame().await {
        match frame {
            PortalFrame::Batch { batch, .. } => {
                let (latest_us, has_results) = columns::add(&mut results, &batch);
                if has_results {
                    ended = Instant::now();
                }
                closed.send_if_modified(|closed_us| std::mem::replace(closed_us, latest_us.max(*closed_us)) < latest_us);
                if latest_us > end_us {
                    return Ok((results, ended));
                }
            }
            PortalFrame::Barrier { .. } => {}
            // What it keeps for subscribers is 16 MiB and can't be set; windows that end together have more.
            PortalFrame::Lagged(skipped) => return Err(Error::Unsupported(format!("the subscription lost {skipped} batches"))),
            PortalFrame::Error { message } => return Err(Error::Failed(message)),
        }
    }
    Err(Error::Failed("the subscription ended".into()))
}
