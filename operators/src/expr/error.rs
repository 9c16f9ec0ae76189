//! What can go wrong: a script that makes no sense ([`TypeError`]), and rows that can't be evaluated ([`EvaluationError`]).
//!
//! Errors of rows are kept beside the values, not in place of them: a batch with one bad row costs a bitmap, one without costs
//! nothing. Only the first failing row keeps its reason, since that is what gets logged.

use arrow::buffer::BooleanBuffer;
use raympp_types::DataType;

/// What is wrong with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeErrorKind {
    /// No function of that name.
    UnknownFunction,
    /// Too few or too many arguments.
    ArgumentCount,
    /// An operand has a type that the operator or function does not take.
    TypeMismatch,
    /// A literal can't be read as the type it must have.
    InvalidLiteral,
    /// A LIKE or regular expression pattern that is malformed.
    InvalidPattern,
    /// A field that EXTRACT or DATE_TRUNC does not know.
    InvalidField,
    /// A DECIMAL that would need more than 38 digits.
    TooManyDigits,
    /// A constant expression whose evaluation fails, where its value is always needed.
    ConstantFails,
}

/// Why an expression has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// Which sort of mistake.
    pub kind: TypeErrorKind,
    /// What was found and what was expected.
    pub message: String,
}

impl TypeError {
    pub(crate) fn new(kind: TypeErrorKind, message: impl Into<String>) -> TypeError {
        TypeError { kind, message: message.into() }
    }

    pub(crate) fn mismatch(message: impl Into<String>) -> TypeError {
        TypeError::new(TypeErrorKind::TypeMismatch, message)
    }
}

/// Why a row has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// `/` or `%` by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The result does not fit its type.
    #[error("the result does not fit {0}")]
    Overflow(DataType),
    /// A floating-point result that is too small for its type.
    #[error("the result is too small for {0}")]
    Underflow(DataType),
    /// Text that is not a value of the type.
    #[error("'{text}' is not {to}: {reason}")]
    InvalidCast {
        /// The text, shortened.
        text: String,
        /// The type asked for.
        to: DataType,
        /// What was expected.
        reason: String,
    },
    /// A value that has no counterpart in the type, such as NaN in an integer.
    #[error("{value} does not fit {to}")]
    OutOfRange {
        /// The value as text.
        value: String,
        /// The type asked for.
        to: DataType,
    },
    /// An argument outside of the function's domain.
    #[error("{0}")]
    Domain(&'static str),
    /// A pattern in a column that is malformed.
    #[error("'{pattern}' is not a valid pattern: {reason}")]
    InvalidPattern {
        /// The pattern, shortened.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The rows of a batch that could not be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct RowErrors {
    /// Set for each failed row; as long as the batch.
    pub failed: BooleanBuffer,
    /// The first failed row.
    pub first_row: usize,
    /// Why that row failed.
    pub reason: EvaluationError,
}

/// Collects errors while an expression is evaluated.
pub(super) struct Errors {
    rows: usize,
    failed: Vec<bool>,
    first: Option<(usize, EvaluationError)>,
}

impl Errors {
    pub(super) fn new(rows: usize) -> Errors {
        Errors { rows, failed: Vec::new(), first: None }
    }

    /// Marks a row; the reason is made only if it is the first of the batch so far.
    pub(super) fn mark(&mut self, row: usize, reason: impl FnOnce() -> EvaluationError) {
        if self.failed.is_empty() {
            self.failed = vec![false; self.rows];
        }
        if std::mem::replace(&mut self.failed[row], true) {
            return;
        }
        if self.first.as_ref().is_none_or(|(first, _)| row < *first) {
            self.first = Some((row, reason()));
        }
    }

    pub(super) fn finish(self) -> Option<RowErrors> {
        let (first_row, reason) = self.first?;
        Some(RowErrors { failed: BooleanBuffer::from(self.failed), first_row, reason })
    }
}

/// Text for an error message: at most 60 characters of it.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
