//! What is kept per group.

use crate::expr::Expr;
use raympp_types::DataType;

/// One aggregate call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// FILTER.
    pub filter: Option<Expr>,
    data_type: DataType,
}

impl Aggregate {
    /// Type of the result.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }
}
