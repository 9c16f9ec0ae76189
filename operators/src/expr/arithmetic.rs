//! Arithmetic.
use super::node::Arithmetic;
use raympp_types::DataType;

pub(super) fn can_fail(_op: Arithmetic, _left: DataType, _right: DataType, _result: DataType) -> bool {
    true
}
