//! Ray-MPP in one process: sources, ingest tasks, partition actors, sinks, views; and the embedded API.
//!
//! ```
//! use raympp_engine::{Engine, Value};
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Payment<'a> { channel: &'a str, status: &'a str, event_time: i64 }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().threads(1).build()?;
//! engine.execute("
//!     CREATE STREAM payments (channel VARCHAR, status VARCHAR, event_time TIMESTAMP,
//!                             WATERMARK FOR event_time AS event_time - INTERVAL '2 seconds');
//!     CREATE METRIC success AS
//!     SELECT channel, COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS rate
//!     FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
//!     GROUP BY channel, window_start, window_end;")?;
//! let metric = engine.metric("success")?;
//! let mut closed = metric.subscribe();
//! let writer = engine.writer("payments")?;
//! writer.push(&Payment { channel: "visa", status: "SUCCESS", event_time: 1_000_000 })?;
//! writer.push(&Payment { channel: "visa", status: "FAILED", event_time: 1_500_000 })?;
//! writer.flush()?;
//! let row = metric.get(&[Value::from("visa")])?.expect("visa has rows in the last minute");
//! assert_eq!(row.number("rate"), Some(0.5));
//! writer.finish();                                    // ends the split: the windows close
//! engine.wait()?;
//! assert_eq!(closed.by_ref().map(|rows| rows.num_rows()).sum::<usize>(), 60);
//! engine.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! Modules in reading order: [`source`] and [`decode`] bring rows; `ingest` folds them, one task per split; `actor` applies and closes,
//! one per partition and replica; `core_loop` steps both, one thread per core; `consumer`, `changelog`, `sink_task` and [`sink`] take results
//! out; `engine` starts it all and executes SQL; `writer` and `metric` are the embedded ends; [`stats`] counts.

mod actor;
mod changelog;
mod checkpoint;
mod clock;
mod consumer;
mod core_loop;
mod dead_letter;
pub mod decode;
mod engine;
mod error;
mod explain;
mod flush;
mod ingest;
mod metric;
mod parking;
mod place;
#[doc(hidden)]
pub mod plant;
mod producer;
mod queue;
pub mod saved_checkpoints;
pub mod sink;
mod sink_task;
pub mod source;
pub mod stats;
mod stream;
mod sync;
mod writer;

pub use actor::ReplicaExport;
pub use checkpoint::open_blobs;
pub use clock::ManualClock;
pub use engine::{Answer, Deferred, Engine, EngineBuilder};
pub use error::{Error, Result};
pub use metric::{Metric, Row, Subscription};
pub use producer::{Level, ProducerId, ProducerState};
pub use raympp_types::Offset;
pub use raympp_types::{DataType, EventTime, Field, Schema, Value};
pub use writer::Writer;

/// The README's program, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
