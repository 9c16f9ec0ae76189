//! Typed scalar expressions over Arrow columns.
//!
//! An [`Expr`] is an immutable tree, typed when it is built: the functions of [`build`] and [`call()`] insert every cast, so evaluation
//! never looks at types it does not expect. Equality is structural (floats by their bits, patterns by their text), which is what lets
//! metrics share equal keys and aggregates. A tree without columns is folded to a literal as it is built; one that fails stays as it is
//! and fails for the rows that need it, so that a guard can keep them from it ([`Expr::failing_constant`]).
//!
//! Evaluation works on whole batches ([`evaluate`]): one pass over the batch per node, errors kept aside as a bitmap of rows. An error
//! counts only for rows whose value is needed: AND, OR, CASE, COALESCE and IN narrow the set of rows for what stands behind them.
//! What reads a single dictionary-encoded column is computed once per entry of the dictionary and gathered by code.
//!
//! Modules in reading order: [`arrow_types`] says which Arrow type a SQL type is; [`error`] what can fail; [`literal`] constants that
//! can be compared; [`coerce`], [`build`] and [`call()`] give types; [`analyse`] and [`display`] look at the tree; [`evaluate`] and
//! the kernels behind it compute.

pub mod arrow_types;
pub mod error;
mod literal;
mod node;
mod coerce;
pub mod build;
mod call;
mod analyse;
mod display;
pub mod evaluate;
mod vector;
mod logic;
mod compare;
mod arithmetic;
mod decimal;
mod cast;
mod cast_text;
mod functions;
mod math;
mod string;
mod regex_syntax;
mod pattern;
mod hash;
mod temporal;
mod truncate;
mod interval;

pub use build::{
    BinaryOp, between, binary, case, cast, coalesce, greatest, implicit_cast, in_list, is_distinct_from, is_false, is_null, is_true,
    is_unknown, least, like, negate, not, nullif,
};
pub(crate) use call::edit_distance;
pub use call::{call, function_names};
pub use error::{EvaluationError, RowErrors, TypeError, TypeErrorKind};
pub use evaluate::Evaluated;

use literal::Literal;
use node::{Label, Node};
use raympp_types::{DataType, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A typed expression. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    data_type: DataType,
    fallible: bool,
    reads: Reads,
    node: Arc<Node>,
}

/// Which columns a tree reads, as far as evaluation cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reads {
    Nothing,
    One(usize),
    Many,
}

impl Reads {
    fn and(self, other: Reads) -> Reads {
        match (self, other) {
            (Reads::Nothing, reads) | (reads, Reads::Nothing) => reads,
            (Reads::One(a), Reads::One(b)) if a == b => self,
            _ => Reads::Many,
        }
    }
}

impl Expr {
    /// Column `index` of the batch; `name` is for people.
    pub fn column(index: usize, name: &str, data_type: DataType) -> Expr {
        Expr::labelled(index, Label::Name(name.into()), data_type)
    }

    fn labelled(index: usize, label: Label, data_type: DataType) -> Expr {
        Expr { data_type, fallible: false, reads: Reads::One(index), node: Arc::new(Node::Column { index, label }) }
    }

    /// A literal as the script writes it: a VARCHAR takes another type where context asks for one, as PostgreSQL's untyped
    /// literals do, and so does NULL.
    pub fn literal(value: Value) -> Expr {
        let untyped = matches!(value, Value::Varchar(_) | Value::Null);
        Expr::constant(value.data_type(), value, untyped)
    }

    /// A literal of a type that is settled; NULL has it too.
    pub(crate) fn typed_literal(data_type: DataType, value: Value) -> Expr {
        Expr::constant(data_type, value, false)
    }

    fn constant(data_type: DataType, value: Value, untyped: bool) -> Expr {
        let node = Arc::new(Node::Literal { value: Literal::new(value, data_type), untyped });
        Expr { data_type, fallible: false, reads: Reads::Nothing, node }
    }

    /// Puts a node together: folds it if it is constant and does not fail.
    fn new(data_type: DataType, node: Node) -> Expr {
        let mut reads = Reads::Nothing;
        let mut fallible = node.can_fail(data_type);
        node.for_each_child(&mut |child| {
            reads = reads.and(child.reads);
            fallible |= child.fallible;
        });
        let expr = Expr { data_type, fallible, reads, node: Arc::new(node) };
        if reads == Reads::Nothing { expr.fold() } else { expr }
    }

    /// Why this fails for every row that needs it, if it is a constant that does.
    pub fn failing_constant(&self) -> Option<TypeError> {
        let reason = if self.reads == Reads::Nothing && self.as_literal().is_none() { self.value_of_constant().err() } else { None };
        reason.map(|reason| TypeError::new(TypeErrorKind::ConstantFails, format!("{self}: {reason}")))
    }

    /// Type of the result. [`DataType::Null`] only for a bare NULL.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// True if evaluation can fail for some row: overflow, division by zero, an invalid cast of data, …
    pub fn fallible(&self) -> bool {
        self.fallible
    }

    /// The columns it reads.
    pub fn columns(&self) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        self.collect_columns(&mut columns);
        columns
    }

    fn collect_columns(&self, columns: &mut BTreeSet<usize>) {
        match (&*self.node, self.reads) {
            (_, Reads::Nothing) => {}
            (_, Reads::One(index)) => {
                columns.insert(index);
            }
            (node, Reads::Many) => node.for_each_child(&mut |child| child.collect_columns(columns)),
        }
    }

    /// The value, if this is a literal.
    pub fn as_literal(&self) -> Option<&Value> {
        match &*self.node {
            Node::Literal { value, .. } => Some(&value.value),
            _ => None,
        }
    }

    /// The column's index, if this is a column.
    pub fn as_column(&self) -> Option<usize> {
        match &*self.node {
            Node::Column { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// The same expression over other columns: column i becomes column `f(i)`.
    pub fn remap_columns(&self, f: &dyn Fn(usize) -> usize) -> Expr {
        if self.reads == Reads::Nothing {
            return self.clone();
        }
        let node = match &*self.node {
            Node::Column { index, label } => Node::Column { index: f(*index), label: label.clone() },
            node => node.map_children(&mut |child| child.remap_columns(f)),
        };
        let mut reads = if let Node::Column { index, .. } = &node { Reads::One(*index) } else { Reads::Nothing };
        node.for_each_child(&mut |child| reads = reads.and(child.reads));
        Expr { data_type: self.data_type, fallible: self.fallible, reads, node: Arc::new(node) }
    }

    /// True for a string literal or NULL whose type context may still choose.
    fn is_untyped(&self) -> bool {
        matches!(&*self.node, Node::Literal { untyped: true, .. })
    }

    fn is_null_literal(&self) -> bool {
        self.as_literal().is_some_and(Value::is_null)
    }
}
