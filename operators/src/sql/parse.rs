//! Statements from tokens. Nothing is looked up here; what PostgreSQL has and this dialect refuses is named where it stands.

#[path = "parse/create.rs"]
mod create;
#[path = "parse/select.rs"]
mod select;

use super::cursor::{Cursor, statements};
use super::error::{SqlError, SqlResult};
use super::syntax::{ObjectKind, ParsedStatement};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// All statements of a script.
pub(crate) fn parse_script(text: &str) -> SqlResult<Vec<ParsedStatement>> {
    statements(text)?.into_iter().map(|tokens| parse_statement(text, tokens)).collect()
}

fn parse_statement(script: &str, tokens: Vec<TokenWithSpan>) -> SqlResult<ParsedStatement> {
    let text = statement_text(script, &tokens);
    let mut cursor = Cursor::new(tokens);
    let statement = statement(&mut cursor, text)?;
    if cursor.at_end() { Ok(statement) } else { Err(cursor.expected("the end of the statement or \";\"")) }
}

fn statement(cursor: &mut Cursor, text: String) -> SqlResult<ParsedStatement> {
    if cursor.word("CREATE") {
        create::create(cursor, text)
    } else if cursor.word("DROP") {
        drop_object(cursor)
    } else if cursor.word("SHOW") {
        object_kind(cursor, true).map(ParsedStatement::Show)
    } else if cursor.word("DESCRIBE") || cursor.word("DESC") {
        cursor.name("the name of a stream, metric or sink").map(ParsedStatement::Describe)
    } else if cursor.word("EXPLAIN") {
        explain(cursor, text)
    } else if cursor.is_word("SELECT") {
        select::select(cursor).map(ParsedStatement::Select)
    } else {
        Err(unknown_statement(cursor))
    }
}

fn unknown_statement(cursor: &Cursor) -> SqlError {
    let span = cursor.span();
    if cursor.is_word("WITH") {
        return SqlError::unsupported(span, "WITH queries are not supported").hint("create a metric and SELECT from it");
    }
    if cursor.is_any_word(&["INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "TRUNCATE"]) {
        return SqlError::unsupported(span, "rows are not changed by statements").hint("they come from a stream's connector or a writer");
    }
    if cursor.is_any_word(&["BEGIN", "COMMIT", "ROLLBACK", "START"]) {
        return SqlError::unsupported(span, "there are no transactions").hint("a script takes effect as a whole or not at all");
    }
    if cursor.is_word("ALTER") {
        return SqlError::unsupported(span, "ALTER is not supported").hint("DROP it and CREATE it anew");
    }
    cursor.expected("CREATE, DROP, SHOW, DESCRIBE, EXPLAIN or SELECT")
}

/// STREAM, METRIC (or MATERIALIZED VIEW) or SINK, or their plurals.
fn object_kind(cursor: &mut Cursor, plural: bool) -> SqlResult<ObjectKind> {
    let kinds: [(&[&str], &[&str], ObjectKind); 4] = [
        (&["STREAM"], &["STREAMS"], ObjectKind::Stream),
        (&["METRIC"], &["METRICS"], ObjectKind::Metric),
        (&["MATERIALIZED", "VIEW"], &["MATERIALIZED", "VIEWS"], ObjectKind::Metric),
        (&["SINK"], &["SINKS"], ObjectKind::Sink),
    ];
    for (singular, many, kind) in kinds {
        if cursor.words(if plural { many } else { singular }) {
            return Ok(kind);
        }
    }
    Err(cursor.expected(if plural { "STREAMS, METRICS or SINKS" } else { "STREAM, METRIC or SINK" }))
}

fn drop_object(cursor: &mut Cursor) -> SqlResult<ParsedStatement> {
    let kind = object_kind(cursor, false)?;
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let name = cursor.name(&format!("the name of a {}", kind.noun()))?;
    if cursor.is_word("CASCADE") {
        let message = "DROP … CASCADE is not supported";
        return Err(SqlError::unsupported(cursor.span(), message).hint("drop what depends on it first"));
    }
    cursor.word("RESTRICT");
    Ok(ParsedStatement::Drop { kind, name, if_exists })
}

fn explain(cursor: &mut Cursor, text: String) -> SqlResult<ParsedStatement> {
    if cursor.is_word("ANALYZE") || cursor.next_is(0, &Token::LParen) {
        return Err(SqlError::unsupported(cursor.span(), "EXPLAIN takes no options"));
    }
    if cursor.is_word("SELECT") {
        return select::select(cursor).map(ParsedStatement::ExplainSelect);
    }
    if !cursor.is_word("CREATE") {
        return cursor.name("a metric, SELECT or CREATE METRIC").map(ParsedStatement::ExplainName);
    }
    let span = cursor.span();
    cursor.advance();
    match create::create(cursor, text)? {
        ParsedStatement::CreateMetric(metric) => Ok(ParsedStatement::ExplainMetric(metric)),
        _ => Err(SqlError::unsupported(span, "EXPLAIN explains a metric or a SELECT")),
    }
}

/// The text from the first to the last token.
fn statement_text(script: &str, tokens: &[TokenWithSpan]) -> String {
    let last = tokens.len().saturating_sub(2);
    match (tokens.first(), tokens.get(last)) {
        (Some(first), Some(last)) => script[byte_of(script, first.span.start)..byte_of(script, last.span.end)].to_owned(),
        _ => String::new(),
    }
}

fn byte_of(script: &str, location: Location) -> usize {
    let line_start = match location.line {
        0 | 1 => 0,
        line => script.match_indices('\n').nth(line as usize - 2).map_or(script.len(), |(at, _)| at + 1),
    };
    let column = (location.column as usize).saturating_sub(1);
    script[line_start..].char_indices().nth(column).map_or(script.len(), |(at, _)| line_start + at)
}
