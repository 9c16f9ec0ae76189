//! SQL text to plans.
//!
//! [`bind_script`] is the only way in: it reads a whole script, looks every name up in a [`Catalog`], types everything, and returns the
//! statements together with the catalog after them, or the first mistake with its place in the text. It changes nothing, so a script
//! takes effect as a whole or not at all.
//!
//! `sqlparser` tokenizes and parses expressions, types and SELECT items; statements and clauses of this dialect are parsed here.
//! Modules in reading order: [`error`], `nearest` and [`syntax`] are the vocabulary; `dialect`, `cursor` and `parse` turn text into
//! syntax; `data_type`, `literal`, `interval`, `scope`, `scalar` and `grouping` give expressions their types and names their meaning;
//! [`catalog`], [`options`], `stream`, `window_call`, `metric`, `sink` and `select` make plans; [`describe`] shows them and
//! [`execute`] runs a SELECT.

pub mod catalog;
mod cursor;
mod data_type;
pub mod describe;
mod dialect;
pub mod error;
pub mod execute;
mod grouping;
mod interval;
mod literal;
mod metric;
mod nearest;
pub mod options;
mod parse;
mod scalar;
mod scope;
mod script;
mod select;
mod sink;
mod stream;
pub mod syntax;
mod window_call;

pub use catalog::Catalog;
pub use error::{SqlError, SqlErrorKind};
pub use execute::{ExecuteError, execute_select};
pub use script::{BoundScript, Explained, Part, Statement, bind_script};
pub use syntax::ObjectKind;
