//! Does WHERE let through the rows of a single key only? Then a SELECT is a look-up.
//!
//! Only conjuncts `key = constant` and `key IS NULL` are looked at; anything else may narrow the answer further, and is evaluated
//! anyway. A constant counts only where it has the key's type or widens to it, so the look-up can miss no row.

use super::super::scalar::bind;
use super::super::scope::{ConstantScope, RowScope, Scope};
use crate::expr::{self, Expr};
use crate::plan::MetricPlan;
use raympp_types::{DataType, Value};
use sqlparser::ast::{self, BinaryOperator};

/// The key, in the order of the metric's keys.
pub(super) fn point(filter: &ast::Expr, metric: &MetricPlan, rows: &RowScope) -> Option<Vec<Value>> {
    let outputs = metric.key_outputs()?;
    let mut values: Vec<Option<Value>> = vec![None; rows.schema.fields.len()];
    let mut pending = vec![filter];
    while let Some(node) = pending.pop() {
        match node {
            ast::Expr::Nested(inner) => pending.push(inner),
            ast::Expr::BinaryOp { left, op: BinaryOperator::And, right } => pending.extend([&**left, &**right]),
            node => {
                if let Some((column, value)) = pinned(node, rows) {
                    values[column] = Some(value);
                }
            }
        }
    }
    outputs.into_iter().map(|column| values.get_mut(column)?.take()).collect()
}

/// `column = constant` or `column IS NULL`.
fn pinned(node: &ast::Expr, rows: &RowScope) -> Option<(usize, Value)> {
    match node {
        ast::Expr::IsNull(operand) => column(operand, rows).map(|column| (column, Value::Null)),
        ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let (column, constant) = match column(left, rows) {
                Some(column) => (column, right),
                None => (column(right, rows)?, left),
            };
            let value = constant_of(constant, rows.schema.fields[column].data_type)?;
            Some((column, value))
        }
        ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_) => {
            let column = column(node, rows)?;
            (rows.schema.fields[column].data_type == DataType::Boolean).then_some((column, Value::Boolean(true)))
        }
        _ => None,
    }
}

fn column(node: &ast::Expr, rows: &RowScope) -> Option<usize> {
    match node {
        ast::Expr::Nested(inner) => column(inner, rows),
        ast::Expr::Identifier(ident) => rows.in_clause("WHERE").column(std::slice::from_ref(ident)).ok()?.as_column(),
        ast::Expr::CompoundIdentifier(path) => rows.in_clause("WHERE").column(path).ok()?.as_column(),
        _ => None,
    }
}

/// The value of a constant, of exactly this type; NULL equals nothing and pins nothing.
fn constant_of(node: &ast::Expr, data_type: DataType) -> Option<Value> {
    let constant: Expr = bind(node, &mut ConstantScope).ok()?;
    let constant = expr::implicit_cast(constant, data_type).ok()?;
    constant.as_literal().filter(|value| value.data_type() == data_type).cloned()
}
