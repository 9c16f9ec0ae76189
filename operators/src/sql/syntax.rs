//! Statements as written: names folded, nothing looked up yet. Expressions and types stay `sqlparser`'s own.

use sqlparser::ast;
use sqlparser::tokenizer::Span;

/// A name of one part, folded to lower case unless it was quoted.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) value: String,
    pub(crate) span: Span,
}

impl Name {
    pub(crate) fn of(ident: &ast::Ident) -> Name {
        let value = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() };
        Name { value, span: ident.span }
    }
}

/// What can be created, dropped and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A stream.
    Stream,
    /// A metric.
    Metric,
    /// A sink.
    Sink,
}

impl ObjectKind {
    /// `stream`, `metric` or `sink`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Metric => "metric",
            Self::Sink => "sink",
        }
    }
}

/// `name = value` of a WITH clause.
#[derive(Clone, Debug)]
pub(crate) struct OptionEntry {
    pub(crate) name: Name,
    pub(crate) value: String,
    pub(crate) value_span: Span,
}

/// A column of CREATE STREAM.
#[derive(Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: Name,
    pub(crate) data_type: ast::DataType,
    pub(crate) type_span: Span,
}

/// `WATERMARK FOR column AS expression`
#[derive(Debug)]
pub(crate) struct WatermarkClause {
    pub(crate) column: Name,
    pub(crate) expression: ast::Expr,
}

/// EMIT of CREATE SINK.
#[derive(Debug)]
pub(crate) enum EmitClause {
    OnWindowClose,
    OnUpdate { every: Option<Box<ast::Expr>> },
}

#[derive(Debug)]
pub(crate) enum ParsedStatement {
    CreateStream(CreateStream),
    CreateMetric(CreateMetric),
    CreateSink(CreateSink),
    Drop { kind: ObjectKind, name: Name, if_exists: bool },
    Show(ObjectKind),
    Describe(Name),
    ExplainName(Name),
    ExplainMetric(CreateMetric),
    ExplainSelect(Select),
    Select(Select),
}

#[derive(Debug)]
pub(crate) struct CreateStream {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) watermark: Option<WatermarkClause>,
    pub(crate) options: Vec<OptionEntry>,
}

#[derive(Debug)]
pub(crate) struct CreateMetric {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) select: Select,
    pub(crate) options: Vec<OptionEntry>,
    /// The statement's text.
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct CreateSink {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) input: Name,
    pub(crate) emit: Option<(EmitClause, Span)>,
    pub(crate) options: Vec<OptionEntry>,
}

/// SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT … OFFSET
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) span: Span,
    pub(crate) distinct: Option<Span>,
    pub(crate) items: Vec<SelectItem>,
    pub(crate) relation: Relation,
    pub(crate) alias: Option<Name>,
    pub(crate) filter: Option<ast::Expr>,
    /// `None` without the clause.
    pub(crate) group_by: Option<Vec<ast::Expr>>,
    pub(crate) having: Option<ast::Expr>,
    pub(crate) order_by: Vec<ast::OrderByExpr>,
    pub(crate) order_span: Option<Span>,
    pub(crate) limit: Option<(ast::Expr, Span)>,
    pub(crate) offset: Option<(ast::Expr, Span)>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every item is an expression")]
pub(crate) enum SelectItem {
    Expr { expr: ast::Expr, alias: Option<Name>, span: Span },
    Wildcard { qualifier: Option<Name>, span: Span },
}

/// What FROM names.
#[derive(Debug)]
pub(crate) enum Relation {
    Name(Name),
    Window(WindowCall),
}

impl Relation {
    pub(crate) fn name(&self) -> &Name {
        match self {
            Relation::Name(name) => name,
            Relation::Window(call) => &call.table,
        }
    }
}

/// `HOP(table, time, slide, size)`, in either spelling.
#[derive(Debug)]
pub(crate) struct WindowCall {
    pub(crate) function: Name,
    pub(crate) table: Name,
    /// PARTITION BY of Flink's spelling, which names the keys again.
    pub(crate) partition_by: Option<Vec<Name>>,
    pub(crate) time: Name,
    pub(crate) arguments: Vec<(ast::Expr, Span)>,
}
