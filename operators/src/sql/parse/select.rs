//! SELECT, clause by clause, so that whatever does not belong to the dialect is refused by name.

use super::super::cursor::Cursor;
use super::super::error::{SqlError, SqlResult};
use super::super::syntax::{Name, Relation, Select, SelectItem, WindowCall};
use sqlparser::ast::{self, SelectItemQualifiedWildcardKind};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

/// Words that end FROM, so no alias without AS.
const CLAUSE_WORDS: [&str; 26] = [
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "ON",
    "USING",
    "WINDOW",
    "WITH",
    "EMIT",
    "FOR",
    "TABLESAMPLE",
    "LATERAL",
    "AS",
];

pub(crate) fn select(cursor: &mut Cursor) -> SqlResult<Select> {
    let span = cursor.span();
    cursor.expect_word("SELECT")?;
    let distinct = distinct(cursor)?;
    let items = cursor.comma_separated(item)?;
    if !cursor.word("FROM") {
        return Err(cursor.expected("\",\" or FROM"));
    }
    let relation = relation(cursor)?;
    let alias = alias(cursor)?;
    refuse_joins(cursor)?;
    let filter = if cursor.word("WHERE") { Some(cursor.expr()?) } else { None };
    let group_by = if cursor.words(&["GROUP", "BY"]) { Some(cursor.comma_separated(group_item)?) } else { None };
    let having = if cursor.word("HAVING") { Some(cursor.expr()?) } else { None };
    refuse_set_operations(cursor)?;
    let order_span = cursor.are_words(&["ORDER", "BY"]).then(|| cursor.span());
    let order_by = if cursor.words(&["ORDER", "BY"]) { cursor.comma_separated(|c| c.parse(Parser::parse_order_by_expr))? } else { vec![] };
    let (limit, offset) = limits(cursor)?;
    refuse_set_operations(cursor)?;
    Ok(Select { span, distinct, items, relation, alias, filter, group_by, having, order_by, order_span, limit, offset })
}

fn distinct(cursor: &mut Cursor) -> SqlResult<Option<Span>> {
    let span = cursor.span();
    if cursor.word("DISTINCT") {
        if cursor.is_word("ON") {
            return Err(SqlError::unsupported(cursor.span(), "DISTINCT ON is not supported"));
        }
        return Ok(Some(span));
    }
    if cursor.is_word("ALL") && !cursor.next_is(1, &Token::Comma) {
        cursor.advance();
    }
    Ok(None)
}

fn item(cursor: &mut Cursor) -> SqlResult<SelectItem> {
    let span = cursor.span();
    if cursor.is_any_word(&["FROM", "WHERE", "GROUP", "HAVING"]) || cursor.at_end() {
        return Err(cursor.expected("an expression or *"));
    }
    Ok(match cursor.parse(Parser::parse_select_item)? {
        ast::SelectItem::UnnamedExpr(expr) => SelectItem::Expr { expr, alias: None, span },
        ast::SelectItem::ExprWithAlias { expr, alias } => SelectItem::Expr { expr, alias: Some(Name::of(&alias)), span },
        ast::SelectItem::Wildcard(_) => SelectItem::Wildcard { qualifier: None, span },
        ast::SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => match name.0.as_slice() {
            [ast::ObjectNamePart::Identifier(ident)] => SelectItem::Wildcard { qualifier: Some(Name::of(ident)), span },
            _ => return Err(SqlError::unsupported(span, "a table name has one part")),
        },
        _ => return Err(SqlError::unsupported(span, "this form of a SELECT item is not supported")),
    })
}

fn group_item(cursor: &mut Cursor) -> SqlResult<ast::Expr> {
    let grouping = cursor.is_any_word(&["ROLLUP", "CUBE"]) && cursor.next_is(1, &Token::LParen);
    if grouping || cursor.are_words(&["GROUPING", "SETS"]) {
        return Err(
            SqlError::unsupported(cursor.span(), "ROLLUP, CUBE and GROUPING SETS are not supported").hint("create one metric per grouping")
        );
    }
    cursor.expr()
}

fn relation(cursor: &mut Cursor) -> SqlResult<Relation> {
    if cursor.next_is(0, &Token::LParen) {
        return Err(SqlError::unsupported(cursor.span(), "a subquery in FROM is not supported").hint("create a metric and SELECT from it"));
    }
    if cursor.is_word("TABLE") && cursor.next_is(1, &Token::LParen) {
        cursor.advance();
        cursor.advance();
        let function = cursor.name("TUMBLE, HOP, CUMULATE or SESSION")?;
        let call = window_call(cursor, function)?;
        cursor.expect_token(&Token::RParen)?;
        return Ok(Relation::Window(call));
    }
    let name = cursor.name("the name of a stream or metric, or a window function")?;
    if cursor.next_is(0, &Token::LParen) { window_call(cursor, name).map(Relation::Window) } else { Ok(Relation::Name(name)) }
}

/// `( [TABLE] table [PARTITION BY column, …], time | DESCRIPTOR(time), argument, … )`
fn window_call(cursor: &mut Cursor, function: Name) -> SqlResult<WindowCall> {
    cursor.expect_token(&Token::LParen)?;
    if cursor.is_word("TABLE") && matches!(cursor.peek_second(), Token::Word(_)) {
        cursor.advance();
    }
    let table = cursor.name("the name of a stream")?;
    let partition_by = if cursor.words(&["PARTITION", "BY"]) { Some(partition_columns(cursor)?) } else { None };
    cursor.expect_token(&Token::Comma)?;
    let described = cursor.is_word("DESCRIPTOR") && cursor.next_is(1, &Token::LParen);
    if described {
        cursor.advance();
        cursor.advance();
    }
    let time = cursor.name("the name of a time column")?;
    if described {
        cursor.expect_token(&Token::RParen)?;
    }
    let mut arguments = vec![];
    while cursor.token(&Token::Comma) {
        let span = cursor.span();
        arguments.push((cursor.expr()?, span));
    }
    if cursor.token(&Token::RParen) {
        Ok(WindowCall { function, table, partition_by, time, arguments })
    } else {
        Err(cursor.expected("\",\" or \")\""))
    }
}

/// `column` or `(column, …)`, or without parentheses up to the comma before DESCRIPTOR.
fn partition_columns(cursor: &mut Cursor) -> SqlResult<Vec<Name>> {
    let column = |cursor: &mut Cursor| cursor.name("a column");
    if cursor.token(&Token::LParen) {
        let columns = cursor.comma_separated(column)?;
        cursor.expect_token(&Token::RParen)?;
        return Ok(columns);
    }
    let mut columns = vec![column(cursor)?];
    while cursor.precedes_descriptor() {
        cursor.expect_token(&Token::Comma)?;
        columns.push(column(cursor)?);
    }
    Ok(columns)
}

fn alias(cursor: &mut Cursor) -> SqlResult<Option<Name>> {
    let explicit = cursor.word("AS");
    if !explicit && (cursor.is_any_word(&CLAUSE_WORDS) || !matches!(cursor.peek().token, Token::Word(_))) {
        return Ok(None);
    }
    let name = cursor.name("an alias")?;
    if cursor.next_is(0, &Token::LParen) {
        return Err(SqlError::unsupported(cursor.span(), "an alias cannot rename columns"));
    }
    Ok(Some(name))
}

fn refuse_joins(cursor: &Cursor) -> SqlResult<()> {
    let join = cursor.is_any_word(&["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"]);
    if join || cursor.next_is(0, &Token::Comma) {
        return Err(SqlError::unsupported(cursor.span(), "joins are not supported: FROM names one stream or metric"));
    }
    Ok(())
}

fn refuse_set_operations(cursor: &Cursor) -> SqlResult<()> {
    if cursor.is_any_word(&["UNION", "INTERSECT", "EXCEPT"]) {
        return Err(SqlError::unsupported(cursor.span(), "UNION, INTERSECT and EXCEPT are not supported"));
    }
    if cursor.is_word("WINDOW") {
        return Err(SqlError::unsupported(cursor.span(), "window functions with OVER are not supported"));
    }
    if cursor.is_word("FETCH") {
        return Err(SqlError::unsupported(cursor.span(), "FETCH is not supported").hint("write LIMIT"));
    }
    if cursor.is_word("FOR") {
        return Err(SqlError::unsupported(cursor.span(), "FOR UPDATE and FOR SHARE are not supported"));
    }
    Ok(())
}

type Limit = Option<(ast::Expr, Span)>;

/// LIMIT and OFFSET in either order.
fn limits(cursor: &mut Cursor) -> SqlResult<(Limit, Limit)> {
    let (mut limit, mut offset) = (None, None);
    loop {
        let span = cursor.span();
        if limit.is_none() && cursor.word("LIMIT") {
            limit = Some((cursor.expr()?, span));
        } else if offset.is_none() && cursor.word("OFFSET") {
            offset = Some((cursor.expr()?, span));
            let _ = cursor.word("ROWS") || cursor.word("ROW");
        } else {
            return Ok((limit, offset));
        }
    }
}
