//! CREATE STREAM, CREATE METRIC, CREATE SINK, and the clauses they share.

use super::super::cursor::Cursor;
use super::super::error::{SqlError, SqlResult};
use super::super::syntax::{
    ColumnDefinition, CreateMetric, CreateSink, CreateStream, EmitClause, OptionEntry, ParsedStatement, WatermarkClause,
};
use super::{object_kind, select};
use crate::sql::syntax::ObjectKind;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

/// What follows CREATE.
pub(crate) fn create(cursor: &mut Cursor, text: String) -> SqlResult<ParsedStatement> {
    refuse_kind(cursor)?;
    let kind = object_kind(cursor, false)?;
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name(&format!("a name for the {}", kind.noun()))?;
    match kind {
        ObjectKind::Stream => {
            let (columns, watermark) = columns(cursor)?;
            let options = options(cursor)?;
            Ok(ParsedStatement::CreateStream(CreateStream { name, if_not_exists, columns, watermark, options }))
        }
        ObjectKind::Metric => {
            let mut all = options(cursor)?;
            cursor.expect_word("AS")?;
            let select = select::select(cursor)?;
            all.extend(options(cursor)?);
            refuse_emit(cursor)?;
            Ok(ParsedStatement::CreateMetric(CreateMetric { name, if_not_exists, select, options: all, text }))
        }
        ObjectKind::Sink => {
            cursor.expect_word("FROM")?;
            let input = cursor.name("the name of a metric")?;
            let mut all = options(cursor)?;
            let emit = emit(cursor)?;
            all.extend(options(cursor)?);
            Ok(ParsedStatement::CreateSink(CreateSink { name, if_not_exists, input, emit, options: all }))
        }
    }
}

/// Kinds of object that others have.
fn refuse_kind(cursor: &Cursor) -> SqlResult<()> {
    let span = cursor.span();
    if cursor.are_words(&["OR", "REPLACE"]) {
        let message = "CREATE OR REPLACE is not supported";
        return Err(SqlError::unsupported(span, message).hint("DROP the old one first, or use IF NOT EXISTS"));
    }
    let instead = if cursor.is_any_word(&["TABLE", "SOURCE", "EXTERNAL", "TEMPORARY", "TEMP", "UNLOGGED"]) {
        "rows come from streams: CREATE STREAM"
    } else if cursor.is_word("VIEW") {
        "write CREATE METRIC, or CREATE MATERIALIZED VIEW"
    } else if cursor.is_any_word(&["INDEX", "UNIQUE"]) {
        "a metric is always found by its key"
    } else {
        return Ok(());
    };
    Err(cursor.expected("STREAM, METRIC or SINK").hint(instead))
}

/// `( column type, …, WATERMARK FOR column AS expression )`
fn columns(cursor: &mut Cursor) -> SqlResult<(Vec<ColumnDefinition>, Option<WatermarkClause>)> {
    let mut watermark: Option<WatermarkClause> = None;
    let mut columns = vec![];
    cursor.expect_token(&Token::LParen)?;
    loop {
        let span = cursor.span();
        if cursor.words(&["WATERMARK", "FOR"]) {
            if watermark.is_some() {
                return Err(SqlError::syntax(span, "a stream has one WATERMARK clause"));
            }
            let column = cursor.name("a column")?;
            cursor.expect_word("AS")?;
            watermark = Some(WatermarkClause { column, expression: cursor.expr()? });
        } else {
            columns.push(column(cursor)?);
        }
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    if cursor.token(&Token::RParen) { Ok((columns, watermark)) } else { Err(cursor.expected("\",\" or \")\"")) }
}

fn column(cursor: &mut Cursor) -> SqlResult<ColumnDefinition> {
    if cursor.is_any_word(&["PRIMARY", "UNIQUE", "CONSTRAINT", "CHECK", "FOREIGN"]) && !cursor.next_is(1, &Token::Comma) {
        return Err(SqlError::unsupported(cursor.span(), "a stream has no constraints"));
    }
    let name = cursor.name("a column name or WATERMARK FOR")?;
    let type_span = cursor.span();
    let data_type = cursor.parse(Parser::parse_data_type)?;
    if cursor.is_any_word(&["NOT", "NULL", "DEFAULT", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES", "GENERATED", "COLLATE"]) {
        let message = "a stream's column has a name and a type only";
        return Err(SqlError::unsupported(cursor.span(), message).hint("every column may hold NULL"));
    }
    Ok(ColumnDefinition { name, data_type, type_span })
}

/// `[WITH ( name = value, … )]`
pub(crate) fn options(cursor: &mut Cursor) -> SqlResult<Vec<OptionEntry>> {
    if !cursor.word("WITH") {
        return Ok(vec![]);
    }
    cursor.expect_token(&Token::LParen)?;
    let entries = cursor.comma_separated(option)?;
    if cursor.token(&Token::RParen) { Ok(entries) } else { Err(cursor.expected("\",\" or \")\"")) }
}

fn option(cursor: &mut Cursor) -> SqlResult<OptionEntry> {
    let name = cursor.name("the name of an option")?;
    cursor.expect_token(&Token::Eq)?;
    let value_span = cursor.span();
    let sign = if cursor.token(&Token::Minus) { "-" } else { "" };
    let value = match &cursor.peek().token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) if sign.is_empty() => text.clone(),
        Token::Number(digits, _) => format!("{sign}{digits}"),
        Token::Word(word) if sign.is_empty() && word.quote_style.is_none() => {
            let lower = word.value.to_ascii_lowercase();
            if !matches!(lower.as_str(), "true" | "false") {
                return Err(cursor.expected("a value").hint(format!("quote it: '{}'", word.value)));
            }
            lower
        }
        _ => return Err(cursor.expected("a quoted value, a number, true or false")),
    };
    cursor.advance();
    Ok(OptionEntry { name, value, value_span })
}

/// `[EMIT ON WINDOW CLOSE | EMIT ON UPDATE [EVERY interval]]`
fn emit(cursor: &mut Cursor) -> SqlResult<Option<(EmitClause, Span)>> {
    let span = cursor.span();
    if !cursor.word("EMIT") {
        return Ok(None);
    }
    if cursor.words(&["ON", "WINDOW", "CLOSE"]) {
        return Ok(Some((EmitClause::OnWindowClose, span)));
    }
    if !cursor.words(&["ON", "UPDATE"]) {
        return Err(cursor.expected("ON WINDOW CLOSE or ON UPDATE"));
    }
    let every = if cursor.word("EVERY") { Some(Box::new(cursor.expr()?)) } else { None };
    Ok(Some((EmitClause::OnUpdate { every }, span)))
}

fn refuse_emit(cursor: &Cursor) -> SqlResult<()> {
    if cursor.is_word("EMIT") {
        let hint = "a metric is always up to date; write CREATE SINK … EMIT …";
        return Err(SqlError::unsupported(cursor.span(), "EMIT belongs to CREATE SINK").hint(hint));
    }
    Ok(())
}
