//! Vocabulary shared by every crate: ids, event time, watermarks, key groups, SQL types and values.
//!
//! Nothing here knows about storage, threads or Arrow; the coordinator, which only decides, needs no more than this crate.
//! Modules in reading order: [`ids`] name things, [`time`] and [`watermark`] say when a row is late, [`key_group`] says who
//! owns a key, [`data_type`], [`value`] and [`text`] are the SQL type system, [`schema`] puts names to it.

pub mod ids;
pub mod time;
pub mod watermark;
pub mod key_group;
pub mod data_type;
pub mod interval;
pub mod value;
pub mod text;
pub mod schema;

pub use data_type::DataType;
pub use ids::{Epoch, MetricId, Offset, PartitionId, PlanVersion, ReplicaId, SinkId, SplitId, SplitTerm, StoreUid, StreamId, Term};
pub use interval::Interval;
pub use key_group::{KeyGroups, KeyHash};
pub use schema::{Field, Schema};
pub use time::EventTime;
pub use value::Value;
pub use watermark::RunningWatermark;
