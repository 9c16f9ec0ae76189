//! Cuts one JSON object into the tokens of its fields, checking the grammar of RFC 8259 on the way; nothing is copied.
//!
//! Nesting is followed to a depth of [`DEPTH_MAX`], so that no input can exhaust the stack.

use super::unescape::unescape;
use arrow::datatypes::Schema;
use std::ops::Range;

/// Deepest nesting of objects and arrays within a field.
const DEPTH_MAX: usize = 128;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    /// Without its quotes.
    String,
    /// Without its quotes, with backslashes.
    EscapedString,
    Nested,
}

/// A value in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    pub(super) const NULL: Token = Token { kind: Kind::Null, start: 0, end: 0 };

    /// Its text, for strings without the quotes.
    #[inline(always)]
    pub(super) fn text<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.start as usize..self.end as usize]
    }
}

/// A walk over one line.
pub(super) struct Scanner<'a> {
    block: &'a [u8],
    line: Range<usize>,
    at: usize,
}

type Scanned<T> = Result<T, &'static str>;

impl<'a> Scanner<'a> {
    pub(super) fn new(block: &'a [u8], line: Range<usize>) -> Scanner<'a> {
        Scanner { block: &block[..line.end], at: line.start, line }
    }

    /// The whole line is an object: puts the tokens of the declared columns into `tokens`.
    pub(super) fn object(&mut self, schema: &Schema, tokens: &mut [Token]) -> Result<(), String> {
        self.whole_object(schema, tokens).map_err(|problem| format!("{problem} at byte {}", self.at - self.line.start + 1))
    }

    fn whole_object(&mut self, schema: &Schema, tokens: &mut [Token]) -> Scanned<()> {
        self.spaces();
        if self.peek() != Some(b'{') {
            return Err("not a JSON object");
        }
        let mut expected = 0;
        self.members(|scanner, key| {
            let column = scanner.column_of(schema, key, expected);
            let value = scanner.value(0)?;
            if let Some(column) = column {
                tokens[column] = value;
                expected = column + 1;
            }
            Ok(())
        })?;
        self.spaces();
        if self.peek().is_some() { Err("text after the object") } else { Ok(()) }
    }

    /// The declared column a key names. Keys usually come in the order of the columns, so the next one is tried first.
    fn column_of(&self, schema: &Schema, key: Token, expected: usize) -> Option<usize> {
        let raw = key.text(self.block);
        let mut scratch = Vec::new();
        let name = match key.kind {
            Kind::EscapedString => {
                unescape(raw, &mut scratch).ok()?;
                scratch.as_slice()
            }
            _ => raw,
        };
        let fields = schema.fields();
        match fields.get(expected) {
            Some(field) if field.name().as_bytes() == name => Some(expected),
            _ => fields.iter().position(|field| field.name().as_bytes() == name),
        }
    }

    /// An object, from its brace on; `each` is called behind every colon.
    fn members(&mut self, mut each: impl FnMut(&mut Self, Token) -> Scanned<()>) -> Scanned<()> {
        self.at += 1;
        self.spaces();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return Err("expected a key in double quotes");
            }
            let key = self.string()?;
            self.spaces();
            if !self.eat(b':') {
                return Err("expected ':'");
            }
            each(self, key)?;
            self.spaces();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err("expected ',' or '}'");
            }
        }
    }

    /// An array, from its bracket on.
    fn elements(&mut self, depth: usize) -> Scanned<()> {
        self.at += 1;
        self.spaces();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.spaces();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err("expected ',' or ']'");
            }
        }
    }

    fn value(&mut self, depth: usize) -> Scanned<Token> {
        self.spaces();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => return self.string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number)?,
            Some(b'{' | b'[') if depth == DEPTH_MAX => return Err("nested too deeply"),
            Some(b'{') => self.members(|scanner, _| scanner.value(depth + 1).map(drop)).map(|()| Kind::Nested)?,
            Some(b'[') => self.elements(depth + 1).map(|()| Kind::Nested)?,
            Some(b't') => self.word(b"true").map(|()| Kind::Boolean)?,
            Some(b'f') => self.word(b"false").map(|()| Kind::Boolean)?,
            Some(b'n') => self.word(b"null").map(|()| Kind::Null)?,
            Some(_) => return Err("expected a value"),
            None => return Err("the line ends where a value is expected"),
        };
        Ok(Token { kind, start: start as u32, end: self.at as u32 })
    }

    /// A string, from its quote on.
    fn string(&mut self) -> Scanned<Token> {
        let start = self.at + 1;
        self.at = start;
        let mut kind = Kind::String;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::EscapedString;
                    self.escape()?;
                }
                Some(0..=0x1f) => return Err("a control character in a string"),
                Some(_) => self.at += 1,
                None => return Err("the line ends within a string"),
            }
        }
        self.at += 1;
        Ok(Token { kind, start: start as u32, end: self.at as u32 - 1 })
    }

    /// The grammar of an escape; what it stands for is looked at when the string is needed.
    fn escape(&mut self) -> Scanned<()> {
        let length = match self.block.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if self.block.get(self.at + 2..self.at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 6,
            _ => return Err("an unknown escape in a string"),
        };
        self.at += length;
        Ok(())
    }

    /// `-?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Scanned<()> {
        const MALFORMED: &str = "a malformed number";
        self.eat(b'-');
        let first = self.peek();
        match (self.digits(), first) {
            (0, _) => return Err(MALFORMED),
            (2.., Some(b'0')) => return Err("a number with a leading zero"),
            _ => {}
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(MALFORMED);
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(MALFORMED);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &[u8]) -> Scanned<()> {
        if !self.block[self.at..].starts_with(word) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.block.get(self.at).copied()
    }
}
