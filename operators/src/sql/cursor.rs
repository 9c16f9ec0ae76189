//! A walk over the tokens of one statement: our own words and clauses by hand, expressions and types by `sqlparser`.
//!
//! The last token is an end marker that has a place in the text, so an error at the end of a statement points there.

use super::dialect::ScriptDialect;
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::syntax::Name;
use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Word};

/// Most tokens between two commas. Keeps the trees that `sqlparser` builds shallow enough to walk by recursion; a chain of
/// operators is as deep as it is long.
const TOKENS_PER_ITEM_MAX: usize = 2_000;
/// Deepest nesting of parentheses, function calls and CASE.
const NESTING_MAX: usize = 50;

/// The tokens of each statement of a script, white space and comments left out, each list ending with [`Token::EOF`].
pub(crate) fn statements(text: &str) -> SqlResult<Vec<Vec<TokenWithSpan>>> {
    let tokens = Tokenizer::new(&ScriptDialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| {
        let message = lower_first(error.message.trim_end_matches('.')).replace("EOF", "the end of the script");
        SqlError::syntax(point(error.location), message)
    })?;
    let mut statements = vec![];
    let mut current: Vec<TokenWithSpan> = vec![];
    for token in tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::SemiColon => close(&mut statements, &mut current, token.span),
            _ => current.push(token),
        }
    }
    let end = current.last().map_or(point(Location::new(1, 1)), |last| point(last.span.end));
    close(&mut statements, &mut current, end);
    statements.iter().try_for_each(|tokens| check_length(tokens))?;
    Ok(statements)
}

fn close(statements: &mut Vec<Vec<TokenWithSpan>>, current: &mut Vec<TokenWithSpan>, end: Span) {
    if !current.is_empty() {
        current.push(TokenWithSpan::new(Token::EOF, end));
        statements.push(std::mem::take(current));
    }
}

fn check_length(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let mut length = 0;
    for token in tokens {
        length = if token.token == Token::Comma { 0 } else { length + 1 };
        if length > TOKENS_PER_ITEM_MAX {
            let message = format!("more than {TOKENS_PER_ITEM_MAX} tokens without a comma are too long an expression");
            return Err(SqlError::new(SqlErrorKind::TooComplex, token.span, message));
        }
    }
    Ok(())
}

pub(crate) fn point(location: Location) -> Span {
    Span::new(location, Location::new(location.line, location.column + 1))
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().collect::<String>() + chars.as_str())
}

/// How a token is named in a message.
fn shown(token: &Token) -> String {
    match token {
        Token::EOF => "the end of the statement".to_owned(),
        Token::Word(Word { quote_style: Some(_), .. }) | Token::SingleQuotedString(_) | Token::Number(..) => token.to_string(),
        token => format!("\"{token}\""),
    }
}

pub(crate) struct Cursor {
    parser: Parser<'static>,
    end: Span,
}

impl Cursor {
    pub(crate) fn new(tokens: Vec<TokenWithSpan>) -> Cursor {
        let end = tokens.last().map_or(Span::empty(), |token| token.span);
        let parser = Parser::new(&ScriptDialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
        Cursor { parser, end }
    }

    pub(crate) fn peek(&self) -> &TokenWithSpan {
        self.parser.peek_token_ref()
    }

    pub(crate) fn span(&self) -> Span {
        let span = self.peek().span;
        if span == Span::empty() { self.end } else { span }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.peek().token == Token::EOF
    }

    fn is_word_at(&self, n: usize, word: &str) -> bool {
        let token = &self.parser.peek_nth_token_ref(n).token;
        matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    pub(crate) fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is_word_at(n, word))
    }

    pub(crate) fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    pub(crate) fn next_is(&self, n: usize, token: &Token) -> bool {
        self.parser.peek_nth_token_ref(n).token == *token
    }

    pub(crate) fn peek_second(&self) -> &Token {
        &self.parser.peek_nth_token_ref(1).token
    }

    /// At `, column, … , DESCRIPTOR(` with a column at least.
    pub(crate) fn precedes_descriptor(&self) -> bool {
        let mut n = 0;
        while self.next_is(n, &Token::Comma) && matches!(self.parser.peek_nth_token_ref(n + 1).token, Token::Word(_)) {
            if self.is_word_at(n + 1, "DESCRIPTOR") && self.next_is(n + 2, &Token::LParen) {
                return n > 0;
            }
            n += 2;
        }
        false
    }

    pub(crate) fn advance(&mut self) {
        self.parser.advance_token();
    }

    /// Takes these words if they come next.
    pub(crate) fn words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            words.iter().for_each(|_| self.advance());
        }
        found
    }

    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    pub(crate) fn expect_word(&mut self, word: &str) -> SqlResult<()> {
        if self.word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    pub(crate) fn token(&mut self, token: &Token) -> bool {
        let found = self.peek().token == *token;
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn expect_token(&mut self, token: &Token) -> SqlResult<()> {
        if self.token(token) { Ok(()) } else { Err(self.expected(&format!("\"{token}\""))) }
    }

    /// `expected …, found …` at the next token.
    pub(crate) fn expected(&self, what: &str) -> SqlError {
        SqlError::syntax(self.span(), format!("expected {what}, found {}", shown(&self.peek().token)))
    }

    /// A name of one part.
    pub(crate) fn name(&mut self, what: &str) -> SqlResult<Name> {
        let Token::Word(word) = &self.peek().token else { return Err(self.expected(what)) };
        if word.quote_style.is_some_and(|_| word.value.is_empty()) {
            return Err(SqlError::syntax(self.span(), "a quoted name cannot be empty"));
        }
        let name = Name::of(&word.to_ident(self.span()));
        self.advance();
        if self.peek().token == Token::Period {
            return Err(SqlError::unsupported(self.span(), format!("{what} has one part: there are no schemas or databases")));
        }
        Ok(name)
    }

    pub(crate) fn expr(&mut self) -> SqlResult<ast::Expr> {
        self.parse(Parser::parse_expr)
    }

    /// Runs a part of `sqlparser` from here.
    pub(crate) fn parse<T>(&mut self, part: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>) -> SqlResult<T> {
        part(&mut self.parser).map_err(|error| self.explain(error))
    }

    pub(crate) fn comma_separated<T>(&mut self, mut item: impl FnMut(&mut Cursor) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `sqlparser` ends a message with ` at Line: l, Column: c`, and says `Expected: x, found: y`.
    fn explain(&self, error: ParserError) -> SqlError {
        let text = match error {
            ParserError::RecursionLimitExceeded => {
                let message = format!("the statement is nested more than {NESTING_MAX} levels deep");
                return SqlError::new(SqlErrorKind::TooComplex, self.span(), message);
            }
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        };
        let (message, place) = split_location(&text);
        let span = place.map_or(self.span(), point);
        // The token that was found, quoted as our own messages do.
        let message = match message.split_once(", found: ") {
            Some((expected, "EOF")) => format!("{expected}, found the end of the statement"),
            Some((expected, found)) if found.starts_with(['"', '\'']) => format!("{expected}, found {found}"),
            Some((expected, found)) => format!("{expected}, found \"{found}\""),
            None => message.to_owned(),
        };
        SqlError::syntax(span, lower_first(&message.replacen("Expected: ", "expected ", 1)))
    }
}

fn split_location(text: &str) -> (&str, Option<Location>) {
    let place = || {
        let (message, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Location::new(line.parse().ok()?, column.parse().ok()?)))
    };
    place().map_or((text, None), |(message, location)| (message, Some(location)))
}
