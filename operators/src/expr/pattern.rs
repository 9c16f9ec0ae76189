//! LIKE and regular expressions.
//!
//! LIKE compares characters, ILIKE after both sides are lower case. Regular expressions are PostgreSQL's, run by the `regex` crate: no
//! backtracking, so time is linear in the text whatever the pattern, and no back-references ([`super::regex_syntax`]).

use super::error::{EvaluationError, shortened};
use super::regex_syntax::translate;
use super::vector::{Shape, Sink, Vector};
use arrow::array::{AsArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use raympp_types::DataType;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// How a LIKE compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LikeFlags {
    /// The character that takes the next one literally; `None` with ESCAPE ''.
    pub(super) escape: Option<char>,
    /// ILIKE
    pub(super) insensitive: bool,
    /// NOT LIKE
    pub(super) negated: bool,
}

/// A constant pattern, compiled once; equal if the text is.
#[derive(Clone, Debug)]
pub(super) struct CompiledRegex {
    pattern: Box<str>,
    insensitive: bool,
    pub(super) regex: regex::Regex,
}

impl CompiledRegex {
    pub(super) fn new(pattern: &str, insensitive: bool) -> Result<CompiledRegex, String> {
        let translated = translate(pattern, insensitive)?;
        let built = regex::RegexBuilder::new(&translated.pattern)
            .case_insensitive(translated.insensitive)
            .dot_matches_new_line(translated.dot_matches_newline)
            .multi_line(translated.multi_line)
            .build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "regular expression is too complex".to_owned(),
            error => error.to_string(),
        })?;
        Ok(CompiledRegex { pattern: pattern.into(), insensitive, regex })
    }
}

impl PartialEq for CompiledRegex {
    fn eq(&self, other: &CompiledRegex) -> bool {
        self.insensitive == other.insensitive && self.pattern == other.pattern
    }
}

impl Eq for CompiledRegex {}

impl Hash for CompiledRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.insensitive.hash(state);
        self.pattern.hash(state);
    }
}

/// What is wrong with a LIKE pattern, if anything.
pub(super) fn check_like(pattern: &str, flags: LikeFlags) -> Result<(), &'static str> {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == flags.escape && characters.next().is_none() {
            return Err("it ends with its escape character");
        }
    }
    Ok(())
}

/// What a LIKE pattern is made of.
#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    /// `_`
    One,
    /// `%`
    Any,
}

/// A LIKE pattern taken apart. Adjacent literals are one part, and so are adjacent `%`.
#[derive(Debug, PartialEq)]
struct LikePattern {
    parts: Vec<Part>,
}

impl LikePattern {
    fn new(pattern: &str, flags: LikeFlags) -> Result<LikePattern, &'static str> {
        check_like(pattern, flags)?;
        let pattern = if flags.insensitive { Cow::Owned(pattern.to_lowercase()) } else { Cow::Borrowed(pattern) };
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                _ if Some(character) == flags.escape => characters.next(),
                '%' => {
                    if parts.last() != Some(&Part::Any) {
                        parts.push(Part::Any);
                    }
                    None
                }
                '_' => {
                    parts.push(Part::One);
                    None
                }
                _ => Some(character),
            };
            match (literal, parts.last_mut()) {
                (Some(literal), Some(Part::Literal(text))) => text.push(literal),
                (Some(literal), _) => parts.push(Part::Literal(literal.to_string())),
                (None, _) => {}
            }
        }
        Ok(LikePattern { parts })
    }

    /// The forms that need no search for where a part may stand.
    fn matches(&self, text: &str) -> bool {
        match self.parts.as_slice() {
            [] => text.is_empty(),
            [Part::Any] => true,
            [Part::Literal(all)] => text == all,
            [Part::Literal(start), Part::Any] => text.starts_with(start.as_str()),
            [Part::Any, Part::Literal(end)] => text.ends_with(end.as_str()),
            [Part::Any, Part::Literal(middle), Part::Any] => text.contains(middle.as_str()),
            parts => matches_parts(parts, text),
        }
    }
}

/// Each `%` takes as little as lets the parts up to the next `%` match; if what follows fails, the last `%` takes one character more.
/// Taking less before an earlier `%` could not help, so no other choice is tried again.
fn matches_parts(parts: &[Part], text: &str) -> bool {
    let (mut part, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match parts.get(part) {
            Some(Part::Any) if part + 1 == parts.len() => return true,
            Some(Part::Any) => {
                retry = Some((part + 1, rest));
                Some(rest)
            }
            Some(Part::One) => after_one(rest),
            Some(Part::Literal(literal)) => rest.strip_prefix(literal.as_str()),
            None if rest.is_empty() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(after), _) => (part, rest) = (part + 1, after),
            (None, Some((after_any, tried))) => {
                let Some(later) = next_candidate(&parts[after_any], tried) else { return false };
                retry = Some((after_any, later));
                (part, rest) = (after_any, later);
            }
            (None, None) => return false,
        }
    }
}

fn after_one(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

/// One character on, or where the literal that must follow stands next.
fn next_candidate<'a>(part: &Part, tried: &'a str) -> Option<&'a str> {
    let later = after_one(tried)?;
    match part {
        Part::Literal(literal) => later.find(literal.as_str()).map(|at| &later[at..]),
        _ => Some(later),
    }
}

fn invalid(pattern: &str, reason: impl ToString) -> EvaluationError {
    EvaluationError::InvalidPattern { pattern: shortened(pattern), reason: reason.to_string() }
}

/// LIKE and ILIKE. A pattern that is the same for all rows is taken apart once.
pub(super) fn like(operand: &Vector, pattern: &Vector, flags: LikeFlags, sink: &mut Sink<'_>) -> Vector {
    let Some(shape) = Shape::of(&[operand, pattern]) else { return Vector::null(DataType::Boolean) };
    let matches = |pattern: &LikePattern, text: &str| {
        let found = if flags.insensitive { pattern.matches(&text.to_lowercase()) } else { pattern.matches(text) };
        found != flags.negated
    };
    let constant = if pattern.scalar { LikePattern::new(pattern.text(0), flags).ok() } else { None };
    if let (Some(constant), false) = (&constant, operand.scalar) {
        let strings = operand.array.as_string::<i32>();
        let found = BooleanBuffer::collect_bool(shape.rows, |row| shape.is_valid(row) && matches(constant, strings.value(row)));
        return shape.booleans(found);
    }
    let found = BooleanBuffer::collect_bool(shape.rows, |row| {
        if !shape.is_valid(row) {
            return false;
        }
        LikePattern::new(pattern.text(row), flags).map(|pattern| matches(&pattern, operand.text(row))).unwrap_or_else(|reason| {
            sink.fail(row, || invalid(pattern.text(row), reason));
            false
        })
    });
    shape.booleans(found)
}

/// `~`, `~*` and their negations. A pattern in a column is compiled again only where it changes from row to row.
pub(super) fn regex(
    operand: &Vector,
    pattern: &Vector,
    compiled: Option<&CompiledRegex>,
    (insensitive, negated): (bool, bool),
    sink: &mut Sink<'_>,
) -> Vector {
    let Some(shape) = Shape::of(&[operand, pattern]) else { return Vector::null(DataType::Boolean) };
    if let Some(compiled) = compiled {
        let found =
            BooleanBuffer::collect_bool(shape.rows, |row| shape.is_valid(row) && compiled.regex.is_match(operand.text(row)) != negated);
        return shape.booleans(found);
    }
    let mut last: Option<(&str, Result<CompiledRegex, String>)> = None;
    let mut bits = BooleanBufferBuilder::new(shape.rows);
    for row in 0..shape.rows {
        if !shape.is_valid(row) || !sink.is_active(row) {
            bits.append(false);
            continue;
        }
        let text = pattern.text(row);
        let (_, compiled) = match last.take() {
            Some(same) if same.0 == text => last.insert(same),
            _ => last.insert((text, CompiledRegex::new(text, insensitive))),
        };
        match compiled {
            Ok(compiled) => bits.append(compiled.regex.is_match(operand.text(row)) != negated),
            Err(reason) => {
                sink.fail(row, || invalid(text, reason));
                bits.append(false);
            }
        }
    }
    shape.booleans(bits.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LIKE by its definition: try every split at `%`.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some(('%', rest)), _) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            (Some(('_', rest)), Some((_, after))) => by_definition(rest, after),
            (Some((a, rest)), Some((b, after))) => a == b && by_definition(rest, after),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn every_short_pattern_matches_as_defined() {
        let letters = ['a', 'é', '%', '_'];
        let words = |length: u32, of: usize| {
            (0..of.pow(length)).map(move |n| (0..length).map(|i| letters[n / of.pow(i) % of]).collect::<Vec<char>>())
        };
        let flags = LikeFlags { escape: Some('\\'), insensitive: false, negated: false };
        for pattern in (0..=5).flat_map(|length| words(length, 4)) {
            let compiled = LikePattern::new(&pattern.iter().collect::<String>(), flags).unwrap();
            for text in (0..=4).flat_map(|length| words(length, 2)) {
                let string: String = text.iter().collect();
                assert_eq!(compiled.matches(&string), by_definition(&pattern, &text), "{string:?} LIKE {pattern:?}");
            }
        }
    }
}
