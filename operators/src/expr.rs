//! Typed scalar expressions over Arrow columns.

use raympp_types::DataType;

/// A typed expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    data_type: DataType,
}

impl Expr {
    /// Type of the result.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }
}
