//! What decides which rows matter: AND, OR, CASE, COALESCE, IN; and the tests on NULL and truth.
//!
//! Guards hold only where they are needed: if what a guard protects can't fail, it is computed for all rows, which is cheaper than to
//! find out which rows need it.

use super::Expr;
use super::compare::compare;
use super::error::Errors;
use super::evaluate::Batch;
use super::node::Comparison;
use super::vector::{Active, Vector, datum};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, not as not_kernel, nullif, or_kleene};
use std::sync::Arc;

/// Set where the value is true, not where it is NULL.
pub(super) fn truth(values: &BooleanArray) -> BooleanBuffer {
    match values.nulls() {
        Some(nulls) => values.values() & nulls.inner(),
        None => values.values().clone(),
    }
}

/// Set where the value is false, not where it is NULL.
fn falsehood(values: &BooleanArray) -> BooleanBuffer {
    match values.nulls() {
        Some(nulls) => &!values.values() & nulls.inner(),
        None => !values.values(),
    }
}

/// True where the value is NULL.
pub(super) fn null_mask(values: &dyn Array) -> BooleanArray {
    let nulls = match values.nulls() {
        Some(nulls) => !nulls.inner(),
        None => BooleanBuffer::new_unset(values.len()),
    };
    BooleanArray::new(nulls, None)
}

fn intersect(active: Active<'_>, rows: BooleanBuffer) -> BooleanBuffer {
    match active {
        Some(active) => active & &rows,
        None => rows,
    }
}

/// `yes` where the mask is true, else `no`; both of one type. The mask has no NULLs.
pub(super) fn choose(mask: &BooleanArray, yes: &Vector, no: &Vector, rows: usize) -> Vector {
    let chosen = zip(mask, datum(yes).as_ref(), datum(no).as_ref());
    Vector::rows(chosen.unwrap_or_else(|_| new_null_array(yes.array.data_type(), rows)))
}

fn same_shape(operand: &Vector, array: BooleanArray) -> Vector {
    Vector { array: Arc::new(array), scalar: operand.scalar }
}

pub(super) fn not(operand: &Vector) -> Vector {
    let values = operand.array.as_boolean();
    same_shape(operand, not_kernel(values).unwrap_or_else(|_| BooleanArray::new_null(values.len())))
}

pub(super) fn is_null(operand: &Vector, negated: bool) -> Vector {
    let mask = null_mask(operand.array.as_ref());
    same_shape(operand, if negated { BooleanArray::new(!mask.values(), None) } else { mask })
}

pub(super) fn is_truth(operand: &Vector, expected: bool, negated: bool) -> Vector {
    let values = operand.array.as_boolean();
    let holds = if expected { truth(values) } else { falsehood(values) };
    same_shape(operand, BooleanArray::new(if negated { !&holds } else { holds }, None))
}

/// AND, or OR with `decisive`: the value of the left side that settles the result.
pub(super) fn and_or(decisive: bool, left: &Expr, right: &Expr, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
    let left = left.eval(batch, active, errors).into_booleans(batch.rows);
    let decided = if decisive { truth(&left) } else { falsehood(&left) };
    if !decided.has_false() {
        return Vector::boolean(left);
    }
    let right = if right.fallible {
        let needed = intersect(active, !&decided);
        right.eval(batch, Some(&needed), errors)
    } else {
        right.eval(batch, active, errors)
    };
    let right = right.into_booleans(batch.rows);
    let both = if decisive { or_kleene(&left, &right) } else { and_kleene(&left, &right) };
    Vector::boolean(both.unwrap_or_else(|_| BooleanArray::new_null(batch.rows)))
}

/// `operand [NOT] IN (list)`: `=` with each, joined by OR.
pub(super) fn in_list(operand: &Expr, list: &[Expr], negated: bool, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
    let operand = operand.eval(batch, active, errors);
    let mut found: Option<BooleanArray> = None;
    for item in list {
        let item = match &found {
            Some(found) if item.fallible => item.eval(batch, Some(&intersect(active, !&truth(found))), errors),
            _ => item.eval(batch, active, errors),
        };
        let equal = compare(Comparison::Eq, &operand, &item).into_booleans(batch.rows);
        found = Some(match found {
            Some(found) => or_kleene(&found, &equal).unwrap_or(found),
            None => equal,
        });
    }
    let found = Vector::boolean(found.unwrap_or_else(|| BooleanArray::new(BooleanBuffer::new_unset(batch.rows), None)));
    if negated { not(&found) } else { found }
}

/// CASE: a branch is computed for the rows that take it.
pub(super) fn case(whens: &[(Expr, Expr)], otherwise: &Expr, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
    let mut remaining: Option<BooleanBuffer> = None;
    let mut branches: Vec<(BooleanArray, Vector)> = Vec::with_capacity(whens.len());
    for (condition, value) in whens {
        let needed = remaining.clone().map(|remaining| intersect(active, remaining));
        let holds = truth(&condition.eval(batch, needed.as_ref().or(active), errors).into_booleans(batch.rows));
        let taken = intersect(remaining.as_ref(), holds);
        remaining = Some(intersect(remaining.as_ref(), !&taken));
        if taken.has_true() {
            let needed = intersect(active, taken.clone());
            branches.push((BooleanArray::new(taken, None), value.eval(batch, Some(&needed), errors)));
        }
    }
    let needed = remaining.map(|remaining| intersect(active, remaining));
    let otherwise = otherwise.eval(batch, needed.as_ref().or(active), errors);
    branches.into_iter().rfold(otherwise, |result, (taken, value)| choose(&taken, &value, &result, batch.rows))
}

/// COALESCE: an argument is computed for the rows that are NULL so far.
pub(super) fn coalesce(arguments: &[Expr], batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
    let Some((first, rest)) = arguments.split_first() else { return Vector::null(raympp_types::DataType::Varchar) };
    let mut result = Vector::rows(first.eval(batch, active, errors).into_array(batch.rows));
    for argument in rest {
        if result.array.null_count() == 0 {
            break;
        }
        let missing = null_mask(result.array.as_ref());
        let needed = intersect(active, missing.values().clone());
        let value = argument.eval(batch, Some(&needed), errors);
        result = choose(&missing, &value, &result, batch.rows);
    }
    result
}

/// NULLIF
pub(super) fn null_if(left: Vector, right: &Vector, rows: usize) -> Vector {
    let equal = compare(Comparison::Eq, &left, right).into_booleans(rows);
    let left = left.into_array(rows);
    let kept: ArrayRef = nullif(left.as_ref(), &equal).unwrap_or(left);
    Vector::rows(kept)
}

/// GREATEST and LEAST: NULLs are skipped.
pub(super) fn extreme(arguments: Vec<Vector>, greatest: bool, rows: usize) -> Vector {
    let op = if greatest { Comparison::Gt } else { Comparison::Lt };
    let mut arguments = arguments.into_iter();
    let Some(mut best) = arguments.next() else { return Vector::null(raympp_types::DataType::Varchar) };
    for next in arguments {
        let beats = truth(&compare(op, &next, &best).into_booleans(rows));
        let best_is_null = null_mask(best.clone().into_array(rows).as_ref());
        let take_next = BooleanArray::new(&beats | best_is_null.values(), None);
        best = choose(&take_next, &next, &best, rows);
    }
    best
}
