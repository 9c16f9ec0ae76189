//! What is kept: deltas, key tables, pages and slices, and the replica that applies, closes and exports.
//!
//! A replica is a state machine without I/O, threads or a clock: deltas in, results out. Readers in other threads share only its
//! [`view`]. Modules in reading order: [`delta`] is what moves; [`dictionary`], [`fold`] and [`chain`] make deltas from rows; [`version`],
//! `shared`, [`block`] and [`slices`] are the readable memory; [`keys`] interns keys; [`sliced`] and [`sessions`] keep the windows;
//! [`replica`] puts them under the exactly-once rule, [`opening`] says how the next reader of a split goes on, [`receipts`] what receivers keep;
//! [`view`] reads them; [`result`] is what leaves; [`checkpoint`] keeps what a restart needs, [`epoch_list`] gathers it from deltas, and the
//! [`persister`] puts it there. [`crash_point`] names where tests end a process.

pub mod crash_point;
pub mod delta;
pub mod dictionary;
pub mod fold;
pub mod chain;
pub mod version;
mod shared;
mod heavy_cells;
pub mod block;
pub mod slices;
pub mod keys;
mod key_map;
mod key_order;
mod wire;
mod page_runs;
pub mod sliced;
pub mod sessions;
pub mod result;
pub mod opening;
pub mod follower;
pub mod replica;
pub mod receipts;
pub mod view;
pub mod checkpoint;
pub mod epoch_list;
pub mod persister;
