//! What is kept per group.

use crate::expr::Expr;
use raympp_types::DataType;

/// names
pub mod names {
    /// names
    pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
        ["count", "sum", "avg", "min", "max", "first_value"].into_iter()
    }
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    name: String,
    distinct: bool,
    args: Vec<Expr>,
    /// FILTER.
    pub filter: Option<Expr>,
    data_type: DataType,
}

/// kind
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateErrorKind {
    /// No aggregate of that name.
    UnknownName,
    /// Too few or too many arguments.
    ArgumentCount,
    /// An argument or the filter has a type that the aggregate does not take.
    TypeMismatch,
    /// q or k is no literal or out of range.
    InvalidParameter,
    /// DISTINCT where it has no meaning here.
    DistinctUnsupported,
}

/// e
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AggregateError {
    /// Which sort of mistake.
    pub kind: AggregateErrorKind,
    /// What was found and what was expected.
    pub message: String,
}

impl Aggregate {
    /// stub
    pub fn new(name: &str, distinct: bool, args: Vec<Expr>, filter: Option<Expr>) -> Result<Aggregate, AggregateError> {
        Ok(Aggregate { name: name.into(), distinct, args, filter, data_type: DataType::BigInt })
    }
    /// stub
    pub fn is_aggregate_name(name: &str) -> bool {
        names::aggregate_names().any(|n| n == name)
    }
    /// Type of the result.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }
}
impl std::fmt::Display for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.name, self.args.len())
    }
}
