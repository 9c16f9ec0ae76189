//! What is wrong with a script, and where.
//!
//! Every error names a place in the text. It is built with the span of the offending syntax; [`SqlError::locate`] adds the source
//! line once, at the top, so that no function below carries the text along.

use sqlparser::tokenizer::Span;
use std::fmt;

/// What sort of mistake it is; each has a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlErrorKind {
    /// The text is not a statement of the dialect.
    Syntax,
    /// PostgreSQL has it, this dialect does not.
    Unsupported,
    /// No stream, metric or sink of that name.
    UndefinedObject,
    /// The name is taken.
    DuplicateObject,
    /// It exists, but is of another kind than is needed here.
    WrongObject,
    /// No column of that name.
    UndefinedColumn,
    /// Two columns of that name could be meant.
    AmbiguousColumn,
    /// Two columns would have that name.
    DuplicateColumn,
    /// No function or operator of that name takes such arguments.
    UndefinedFunction,
    /// Types do not fit.
    Type,
    /// An aggregate or a column stands where grouping does not allow it.
    Grouping,
    /// A window whose parameters make none.
    Window,
    /// A WITH option that is unknown, missing or has an impossible value.
    Option,
    /// A literal or a parameter whose value makes no sense.
    Value,
    /// Others depend on what was to be dropped.
    InUse,
    /// Too long or too deeply nested.
    TooComplex,
}

impl SqlErrorKind {
    /// The SQLSTATE that PostgreSQL gives this kind of error.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Syntax => "42601",
            Self::Unsupported => "0A000",
            Self::UndefinedObject => "42P01",
            Self::DuplicateObject => "42P07",
            Self::WrongObject => "42809",
            Self::UndefinedColumn => "42703",
            Self::AmbiguousColumn => "42702",
            Self::DuplicateColumn => "42701",
            Self::UndefinedFunction => "42883",
            Self::Type => "42804",
            Self::Grouping => "42803",
            Self::Window => "42P20",
            Self::Option | Self::Value => "22023",
            Self::InUse => "2BP01",
            Self::TooComplex => "54001",
        }
    }
}

/// One mistake in a script. `Display` shows message, hint and the source line with a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// What sort of mistake.
    pub kind: SqlErrorKind,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead, if that can be said.
    pub hint: Option<String>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    width: usize,
    source_line: Box<str>,
}

/// Result of everything here.
pub(crate) type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    pub(crate) fn new(kind: SqlErrorKind, span: Span, message: impl Into<String>) -> SqlError {
        let (start, end) = (span.start, span.end);
        let width = if start.line == end.line { end.column.saturating_sub(start.column) } else { 1 };
        SqlError {
            kind,
            message: message.into(),
            hint: None,
            line: start.line.max(1) as usize,
            column: start.column.max(1) as usize,
            width: width.max(1) as usize,
            source_line: "".into(),
        }
    }

    pub(crate) fn syntax(span: Span, message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Syntax, span, message)
    }

    pub(crate) fn unsupported(span: Span, message: impl Into<String>) -> SqlError {
        SqlError::new(SqlErrorKind::Unsupported, span, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<String>) -> SqlError {
        self.hint = hint.or(self.hint);
        self
    }

    /// Takes the source line from the script that the position refers to.
    pub(crate) fn locate(mut self, script: &str) -> SqlError {
        self.source_line = script.split('\n').nth(self.line - 1).unwrap_or("").trim_end_matches('\r').into();
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error at line {}, column {}: {}", self.line, self.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        let number = self.line.to_string();
        let before = self.source_line.chars().take(self.column - 1);
        let pad: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let margin = " ".repeat(number.len());
        write!(f, "\n  {number} | {}\n  {margin} | {pad}{}", self.source_line, "^".repeat(self.width))
    }
}

impl std::error::Error for SqlError {}
