//! PostgreSQL's lexical rules and precedences for `sqlparser`, without the extensions that this dialect does not have.
//!
//! What is not switched on here is refused by the parser instead of being read and then ignored; geometric type names (`path`,
//! `point`, …) stay usable as column names. Where the parser's precedences are not PostgreSQL's, they are put right here: a sign binds
//! tighter than `^` and AT TIME ZONE, `~` and its kin as tightly as any operator of their own, `@` and `|/` looser than `+`.

use sqlparser::ast::{self, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::any::TypeId;

/// The dialect of scripts.
#[derive(Debug)]
pub(crate) struct ScriptDialect;

const POSTGRESQL: PostgreSqlDialect = PostgreSqlDialect {};

fn trim_without_characters(parser: &mut Parser) -> Result<ast::Expr, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let trim_where = Some(parser.parse_trim_where()?);
    parser.expect_keyword(Keyword::FROM)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_token(&Token::RParen)?;
    Ok(ast::Expr::Trim { expr, trim_where, trim_what: None, trim_characters: None })
}

/// `-x`, `+x`, `@ x` and `|/ x`.
fn sign(parser: &mut Parser, operator: UnaryOperator, precedence: u8) -> Result<ast::Expr, ParserError> {
    parser.advance_token();
    let expr = Box::new(parser.parse_subexpr(precedence)?);
    Ok(ast::Expr::UnaryOp { op: operator, expr })
}

/// `~` and its kin.
fn is_pattern_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
    )
}

fn is_isnull(parser: &Parser) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("ISNULL"))
}

impl Dialect for ScriptDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRESQL.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRESQL.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRESQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRESQL.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRESQL.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        POSTGRESQL.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if is_isnull(parser) {
            return Some(Ok(self.prec_value(Precedence::Is)));
        }
        if is_pattern_operator(&parser.peek_token_ref().token) {
            return Some(Ok(self.prec_value(Precedence::PgOther)));
        }
        POSTGRESQL.get_next_precedence(parser)
    }

    /// Signs, and `TRIM(TRAILING FROM x)`, in which the parser would take FROM for a column.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<ast::Expr, ParserError>> {
        // What binds tighter than AT TIME ZONE binds tighter than a sign: `::` and nothing else that is supported.
        let (tight, loose) = (self.prec_value(Precedence::AtTz), self.prec_value(Precedence::PgOther));
        match &parser.peek_token_ref().token {
            Token::Minus => return Some(sign(parser, UnaryOperator::Minus, tight)),
            Token::Plus => return Some(sign(parser, UnaryOperator::Plus, tight)),
            Token::AtSign => return Some(sign(parser, UnaryOperator::PGAbs, loose)),
            Token::PGSquareRoot => return Some(sign(parser, UnaryOperator::PGSquareRoot, loose)),
            _ => {}
        }
        let [Token::Word(trim), Token::LParen, Token::Word(_), Token::Word(from)] = parser.peek_tokens() else { return None };
        if trim.keyword != Keyword::TRIM || trim.quote_style.is_some() || from.keyword != Keyword::FROM {
            return None;
        }
        Some(trim_without_characters(parser))
    }

    /// `x ISNULL`, which the parser would take for an alias.
    fn parse_infix(&self, parser: &mut Parser, expr: &ast::Expr, _precedence: u8) -> Option<Result<ast::Expr, ParserError>> {
        is_isnull(parser).then(|| {
            parser.advance_token();
            Ok(ast::Expr::IsNull(Box::new(expr.clone())))
        })
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRESQL.prec_value(precedence)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }
}
