//! LIKE and regular expressions.

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
    insensitive: bool,
    pub(super) regex: regex::Regex,
}

impl CompiledRegex {
    pub(super) fn new(pattern: &str, insensitive: bool) -> Result<CompiledRegex, regex::Error> {
        let regex = regex::RegexBuilder::new(pattern).case_insensitive(insensitive).build()?;
        Ok(CompiledRegex { insensitive, regex })
    }
}

impl PartialEq for CompiledRegex {
    fn eq(&self, other: &CompiledRegex) -> bool {
        self.insensitive == other.insensitive && self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for CompiledRegex {}

impl Hash for CompiledRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.insensitive.hash(state);
        self.regex.as_str().hash(state);
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
