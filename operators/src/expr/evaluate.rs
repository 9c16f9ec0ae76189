//! Evaluates a tree over a batch of columns.
//!
//! Each node makes one pass over the batch. The rows whose value is needed travel down the tree, errors are collected on the side, so
//! a node reports an error exactly for a row that fails in it and is needed there. Values of rows that failed, or were not needed,
//! are unspecified, and nothing that is reported depends on them: guards narrow the needed rows before what they guard is looked at.
//!
//! A subtree that reads one dictionary-encoded column is a function of the code: it is computed once per entry of the dictionary, if
//! there are no more entries than rows, and gathered. This gives what evaluation by rows gives, because a row's value and error are
//! functions of the row alone.

use super::arrow_types::{normalised, value_at};
use super::error::{Errors, EvaluationError, RowErrors};
use super::node::Node;
use super::vector::{Active, Sink, Vector};
use super::{Expr, Reads, arithmetic, cast, compare, functions, logic, pattern};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use raympp_types::DataType;
use std::sync::Arc;

/// A column of results, and which rows have none.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// As many rows as the batch, of the Arrow type of the expression's SQL type; VARCHAR may be a dictionary. Unspecified where a
    /// row failed or was not active.
    pub values: ArrayRef,
    /// The active rows that failed.
    pub errors: Option<RowErrors>,
}

/// The columns an expression reads.
pub(super) struct Batch<'a> {
    columns: Columns<'a>,
    pub(super) rows: usize,
}

enum Columns<'a> {
    All(&'a [ArrayRef]),
    Only(&'a ArrayRef),
}

impl Batch<'_> {
    fn column(&self, index: usize) -> &ArrayRef {
        match self.columns {
            Columns::All(columns) => &columns[index],
            Columns::Only(column) => column,
        }
    }

    /// A dictionary-encoded column with no more entries than there are rows.
    fn dictionary(&self, index: usize) -> Option<&DictionaryArray<Int32Type>> {
        let dictionary = self.column(index).as_dictionary_opt::<Int32Type>()?;
        (dictionary.values().len() <= self.rows).then_some(dictionary)
    }
}

/// Values per code of a dictionary, and the value of a NULL where it is not NULL.
struct PerCode {
    values: ArrayRef,
    of_null: Option<ArrayRef>,
}

impl Expr {
    /// Evaluates over a batch. `active`: the rows whose value is needed, as long as the batch; `None`: all. Errors are reported for
    /// active rows only.
    ///
    /// # Panics
    /// If the batch lacks a column the expression reads, or has it in another type: it was typed for another schema.
    pub fn evaluate(&self, batch: &RecordBatch, active: Option<&BooleanBuffer>) -> Evaluated {
        self.evaluate_columns(batch.columns(), batch.num_rows(), active)
    }

    /// [`Expr::evaluate`] over bare columns of `rows` rows each.
    pub fn evaluate_columns(&self, columns: &[ArrayRef], rows: usize, active: Option<&BooleanBuffer>) -> Evaluated {
        let batch = Batch { columns: Columns::All(columns), rows };
        if let (Node::Column { index, .. }, DataType::Varchar) = (&*self.node, self.data_type)
            && matches!(columns[*index].data_type(), ArrowType::Dictionary(..))
        {
            return Evaluated { values: columns[*index].clone(), errors: None };
        }
        let mut errors = Errors::new(rows);
        let values = match self.encoded(&batch, active, &mut errors) {
            Some(values) => values,
            None => self.eval(&batch, active, &mut errors).into_array(rows),
        };
        Evaluated { values, errors: errors.finish() }
    }

    /// For a predicate that reads one VARCHAR column and can't fail: for each entry of that column's dictionary 1 if the predicate
    /// is true, else 0, and one byte more at the end for NULL. `None` for other expressions.
    pub fn evaluate_predicate_lut(&self, dictionary: &ArrayRef) -> Option<Vec<u8>> {
        let one_column = matches!(self.reads, Reads::One(_)) && *dictionary.data_type() == ArrowType::Utf8;
        if !one_column || self.fallible || self.data_type != DataType::Boolean {
            return None;
        }
        let null = new_null_array(&ArrowType::Utf8, 1);
        let mut table = Vec::with_capacity(dictionary.len() + 1);
        for column in [dictionary, &null] {
            let batch = Batch { columns: Columns::Only(column), rows: column.len() };
            let values = self.eval(&batch, None, &mut Errors::new(column.len())).into_booleans(column.len());
            table.extend(values.iter().map(|value| u8::from(value == Some(true))));
        }
        Some(table)
    }

    /// A tree without columns as a literal; as it is, if it fails.
    pub(super) fn fold(self) -> Expr {
        match self.value_of_constant() {
            Ok(value) => Expr::typed_literal(self.data_type, value_at(value.as_ref(), 0)),
            Err(_) => Expr { fallible: true, ..self },
        }
    }

    /// The one value of a tree without columns, as a column of one row.
    pub(super) fn value_of_constant(&self) -> Result<ArrayRef, EvaluationError> {
        let mut errors = Errors::new(1);
        let batch = Batch { columns: Columns::All(&[]), rows: 1 };
        let value = self.eval_rows(&batch, None, &mut errors).into_array(1);
        errors.finish().map_or(Ok(value), |errors| Err(errors.reason))
    }

    /// A constant that fails, as it was not folded: for all rows that need it. Its operands are constants as well, so it is computed once.
    fn eval_constant(&self, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
        let value = self.value_of_constant().unwrap_or_else(|reason| {
            let needed = |row: &usize| active.is_none_or(|active| active.value(*row));
            (0..batch.rows).filter(needed).for_each(|row| errors.mark(row, || reason.clone()));
            Vector::null(self.data_type).array
        });
        Vector::one(value)
    }

    /// A VARCHAR computed from one dictionary stays a dictionary: with the same codes and other entries.
    fn encoded(&self, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Option<ArrayRef> {
        let (Reads::One(index), DataType::Varchar) = (self.reads, self.data_type) else { return None };
        let dictionary = batch.dictionary(index)?;
        let per_code = self.per_code(dictionary, active, errors);
        if per_code.of_null.is_some() {
            return Some(gather(per_code, dictionary));
        }
        DictionaryArray::try_new(dictionary.keys().clone(), per_code.values).ok().map(|array| Arc::new(array) as ArrayRef)
    }

    /// The value of this node for each row.
    pub(super) fn eval(&self, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
        match &*self.node {
            Node::Literal { value, .. } => return Vector::one(value.array.clone()),
            Node::Column { index, .. } => {
                let column = normalised(batch.column(*index), self.data_type);
                return Vector::rows(column.unwrap_or_else(|| {
                    panic!(
                        "column {index} ({self}) is {}, the expression was typed for {}",
                        batch.column(*index).data_type(),
                        self.data_type
                    )
                }));
            }
            _ => {}
        }
        if self.reads == Reads::Nothing {
            return self.eval_constant(batch, active, errors);
        }
        if let Reads::One(index) = self.reads
            && let Some(dictionary) = batch.dictionary(index)
        {
            return Vector::rows(gather(self.per_code(dictionary, active, errors), dictionary));
        }
        let value = self.eval_rows(batch, active, errors);
        // One value for all rows, though no constant: a CASE whose condition never holds, say. Kernels look for rows that fail row by row.
        if value.scalar { Vector::rows(value.into_array(batch.rows)) } else { value }
    }

    fn eval_rows(&self, batch: &Batch<'_>, active: Active<'_>, errors: &mut Errors) -> Vector {
        let mut operand = |expr: &Expr| expr.eval(batch, active, errors);
        match &*self.node {
            Node::Literal { .. } | Node::Column { .. } => operand(self),
            Node::Arithmetic { op, left, right } => {
                let (left, right) = (operand(left), operand(right));
                arithmetic::evaluate(*op, &left, &right, self.data_type, &mut Sink { active, errors })
            }
            Node::Negate(inner) => {
                let inner = operand(inner);
                arithmetic::negate(&inner, self.data_type, &mut Sink { active, errors })
            }
            Node::Compare { op, left, right } => compare::compare(*op, &operand(left), &operand(right)),
            Node::Distinct { left, right, negated } => compare::distinct(&operand(left), &operand(right), *negated, batch.rows),
            Node::Not(inner) => logic::not(&operand(inner)),
            Node::IsNull { operand: inner, negated } => logic::is_null(&operand(inner), *negated),
            Node::IsTruth { operand: inner, truth, negated } => logic::is_truth(&operand(inner), *truth, *negated),
            Node::NullIf(left, right) => logic::null_if(operand(left), &operand(right), batch.rows),
            Node::Extreme { greatest, arguments } => {
                let arguments = arguments.iter().map(operand).collect();
                logic::extreme(arguments, *greatest, batch.rows)
            }
            Node::Like { operand: inner, pattern, flags } => {
                let (inner, pattern) = (operand(inner), operand(pattern));
                pattern::like(&inner, &pattern, *flags, &mut Sink { active, errors })
            }
            Node::Regex { operand: inner, pattern, compiled, insensitive, negated } => {
                let (inner, pattern) = (operand(inner), operand(pattern));
                pattern::regex(&inner, &pattern, compiled.as_ref(), (*insensitive, *negated), &mut Sink { active, errors })
            }
            Node::Cast { operand: inner, try_cast } => {
                let inner = operand(inner);
                cast::evaluate(&inner, self.data_type, *try_cast, &mut Sink { active, errors })
            }
            Node::Call { function, arguments } => {
                let arguments: Vec<Vector> = arguments.iter().map(operand).collect();
                functions::call(*function, &arguments, self.data_type, batch.rows, &mut Sink { active, errors })
            }
            Node::And(left, right) => logic::and_or(false, left, right, batch, active, errors),
            Node::Or(left, right) => logic::and_or(true, left, right, batch, active, errors),
            Node::InList { operand: inner, list, negated } => logic::in_list(inner, list, *negated, batch, active, errors),
            Node::Case { whens, otherwise } => logic::case(whens, otherwise, batch, active, errors),
            Node::Coalesce(arguments) => logic::coalesce(arguments, batch, active, errors),
        }
    }

    /// Evaluates over the entries of a dictionary; errors go to the active rows that hold a failing entry.
    fn per_code(&self, dictionary: &DictionaryArray<Int32Type>, active: Active<'_>, errors: &mut Errors) -> PerCode {
        let (entries, keys) = (dictionary.values(), dictionary.keys());
        let (values, failed) = self.eval_column(entries);
        let needed = |row: usize| active.is_none_or(|active| active.value(row));
        if let Some(failed) = failed {
            for row in (0..keys.len()).filter(|&row| needed(row) && keys.is_valid(row)) {
                let code = keys.value(row) as usize;
                if failed.failed.value(code) {
                    errors.mark(row, || self.reason_of(&entries.slice(code, 1), &failed));
                }
            }
        }
        let column = if let Reads::One(index) = self.reads { index } else { 0 };
        let strict = self.is_strict_in(column);
        // What is NULL for a NULL can fail for it all the same, where it holds a constant that fails.
        if keys.null_count() == 0 || strict && !self.fallible {
            return PerCode { values, of_null: None };
        }
        let (of_null, failed) = self.eval_column(&new_null_array(entries.data_type(), 1));
        if let Some(failed) = failed {
            (0..keys.len()).filter(|&row| needed(row) && keys.is_null(row)).for_each(|row| errors.mark(row, || failed.reason.clone()));
        }
        PerCode { values, of_null: (!strict).then_some(of_null) }
    }

    /// Why one entry fails: evaluated again, since only the first of a batch keeps its reason.
    fn reason_of(&self, entry: &ArrayRef, errors: &RowErrors) -> super::EvaluationError {
        self.eval_column(entry).1.map_or_else(|| errors.reason.clone(), |errors| errors.reason)
    }

    /// Evaluates a tree that reads one column.
    fn eval_column(&self, column: &ArrayRef) -> (ArrayRef, Option<RowErrors>) {
        let mut errors = Errors::new(column.len());
        let batch = Batch { columns: Columns::Only(column), rows: column.len() };
        let values = self.eval(&batch, None, &mut errors).into_array(column.len());
        (values, errors.finish())
    }
}

/// The value of each row by its code.
fn gather(per_code: PerCode, dictionary: &DictionaryArray<Int32Type>) -> ArrayRef {
    let keys = dictionary.keys();
    let gathered = arrow::compute::take(per_code.values.as_ref(), keys, None)
        .unwrap_or_else(|_| new_null_array(per_code.values.data_type(), keys.len()));
    match per_code.of_null {
        Some(of_null) => logic::choose(&logic::null_mask(keys), &Vector::one(of_null), &Vector::rows(gathered), keys.len()).array,
        None => gathered,
    }
}
