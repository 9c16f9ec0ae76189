//! What can be said of a predicate without rows: whether a NULL in a column rules a row out.
//!
//! Three questions answer each other, all of the form "if the column is NULL, then certainly …": [`Expr::is_strict_in`] – the value is
//! NULL; [`Expr::rejects_null_of`] – it is not true; [`Expr::holds_on_null_of`] – it is true. Every `false` is safe.

use super::Expr;
use super::node::{Function, Node};
use raympp_types::Value;

impl Expr {
    /// As a WHERE predicate: true only if a NULL in that column certainly makes it not true.
    pub fn rejects_null_of(&self, column: usize) -> bool {
        if self.is_strict_in(column) {
            return true;
        }
        match &*self.node {
            Node::Literal { value, .. } => !matches!(value.value, Value::Boolean(true)),
            Node::And(left, right) => left.rejects_null_of(column) || right.rejects_null_of(column),
            Node::Or(left, right) => left.rejects_null_of(column) && right.rejects_null_of(column),
            Node::Not(operand) => operand.holds_on_null_of(column),
            Node::IsNull { operand, negated: true } => operand.is_strict_in(column),
            Node::IsTruth { operand, truth: true, negated: false } => operand.rejects_null_of(column),
            Node::IsTruth { operand, truth: false, negated: false } => operand.is_strict_in(column) || operand.holds_on_null_of(column),
            Node::Distinct { left, right, negated: true } => {
                left.is_strict_in(column) && right.is_never_null() || right.is_strict_in(column) && left.is_never_null()
            }
            Node::Case { whens, otherwise } => {
                whens.iter().all(|(condition, value)| condition.rejects_null_of(column) || value.rejects_null_of(column))
                    && otherwise.rejects_null_of(column)
            }
            _ => false,
        }
    }

    /// A NULL in the column certainly makes the value NULL.
    pub(super) fn is_strict_in(&self, column: usize) -> bool {
        match &*self.node {
            Node::Column { index, .. } => *index == column,
            Node::Literal { value, .. } => value.value.is_null(),
            Node::And(left, right) | Node::Or(left, right) => left.is_strict_in(column) && right.is_strict_in(column),
            Node::IsNull { .. } | Node::IsTruth { .. } | Node::Distinct { .. } | Node::Case { .. } => false,
            Node::Call { function: Function::Concat, .. } => false,
            Node::Coalesce(arguments) | Node::Extreme { arguments, .. } => arguments.iter().all(|argument| argument.is_strict_in(column)),
            Node::NullIf(left, _) => left.is_strict_in(column),
            Node::InList { operand, .. } => operand.is_strict_in(column),
            node => {
                let mut strict = false;
                node.for_each_child(&mut |child| strict |= child.is_strict_in(column));
                strict
            }
        }
    }

    /// A NULL in the column certainly makes the predicate true.
    fn holds_on_null_of(&self, column: usize) -> bool {
        match &*self.node {
            Node::Literal { value, .. } => matches!(value.value, Value::Boolean(true)),
            Node::And(left, right) => left.holds_on_null_of(column) && right.holds_on_null_of(column),
            Node::Or(left, right) => left.holds_on_null_of(column) || right.holds_on_null_of(column),
            Node::IsNull { operand, negated: false } => operand.is_strict_in(column),
            _ => false,
        }
    }

    fn is_never_null(&self) -> bool {
        self.as_literal().is_some_and(|value| !value.is_null())
    }
}
