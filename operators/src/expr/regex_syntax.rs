//! PostgreSQL's regular expressions ("advanced" ones) in the syntax of the `regex` crate.
//!
//! A pattern is rewritten token by token, so that whatever is left means there what it means in PostgreSQL: in brackets `&`, `-`, `~` and
//! `[` are characters, classes are Unicode's (digits are 0 to 9), `\m`, `\M` and `\y` are bounds of words, `.` and `[^x]` match a newline
//! unless options at the start say otherwise. Only whether a text matches is ever asked, so greed is left out. What an automaton can't do,
//! back-references and constraints that look ahead or behind, is refused by name, and so is what PostgreSQL would refuse.
//!
//! Source: PostgreSQL's manual, section 9.7.3, and the behaviour it describes. Cost: one pass over the pattern.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// A pattern for the `regex` crate, and how to compile it.
#[derive(Debug, PartialEq)]
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) insensitive: bool,
    /// `.` matches a newline.
    pub(super) dot_matches_newline: bool,
    /// `^` and `$` match at lines.
    pub(super) multi_line: bool,
}

/// Most repetitions of a bound such as `{2,5}`.
const REPETITIONS_MAX: u32 = 255;

/// Translates a pattern; `insensitive` for `~*`.
///
/// # Errors
/// What is wrong with it, in PostgreSQL's words where it would refuse it too.
pub(super) fn translate(pattern: &str, insensitive: bool) -> Result<Translated, String> {
    let mut translation = Translation {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        insensitive,
        newline: Newline { any: true, anchors: false },
        open: 0,
        groups: 0,
        last: Last::Nothing,
    };
    match translation.options()? {
        Kind::Literal => translation.literal_rest(),
        Kind::Advanced => translation.tokens()?,
    }
    let Translation { out, insensitive, newline, .. } = translation;
    Ok(Translated { pattern: out, insensitive, dot_matches_newline: newline.any, multi_line: newline.anchors })
}

enum Kind {
    Advanced,
    Literal,
}

/// What a newline is to `.`, `[^x]`, `^` and `$`.
struct Newline {
    /// `.` and `[^x]` match it.
    any: bool,
    /// `^` and `$` match beside it.
    anchors: bool,
}

/// What a quantifier would stand behind.
#[derive(PartialEq)]
enum Last {
    /// The start of an expression or branch, or a constraint.
    Nothing,
    Atom,
    Quantifier,
}

/// What an escape stands for.
enum Escape {
    Character(char),
    /// A class, in the crate's syntax, that may also stand in brackets.
    Class(&'static str),
    /// A place, in the crate's syntax.
    Constraint(&'static str),
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    insensitive: bool,
    newline: Newline,
    /// Parentheses open now.
    open: usize,
    /// Capturing groups so far.
    groups: u32,
    last: Last,
}

type Done = Result<(), String>;

fn refuse<T>(reason: &str) -> Result<T, String> {
    Err(reason.to_owned())
}

impl Translation<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        let mut ahead = self.rest.clone();
        let found = prefix.chars().all(|character| ahead.next() == Some(character));
        if found {
            self.rest = ahead;
        }
        found
    }

    /// `***:` or `***=`, then `(?letters)`.
    fn options(&mut self) -> Result<Kind, String> {
        if self.take("***=") {
            return Ok(Kind::Literal);
        }
        self.take("***:");
        let mut ahead = self.rest.clone();
        let is_option = ahead.by_ref().take(2).eq("(?".chars()) && ahead.peek().is_some_and(char::is_ascii_alphabetic);
        let mut kind = Kind::Advanced;
        if !is_option {
            return Ok(kind);
        }
        self.take("(?");
        loop {
            match self.rest.next() {
                Some('i') => self.insensitive = true,
                Some('c') => self.insensitive = false,
                Some('s') => self.newline = Newline { any: true, anchors: false },
                Some('n' | 'm') => self.newline = Newline { any: false, anchors: true },
                Some('p') => self.newline = Newline { any: false, anchors: false },
                Some('w') => self.newline = Newline { any: true, anchors: true },
                Some('t') => {}
                Some('q') => kind = Kind::Literal,
                Some(')') => return Ok(kind),
                Some(letter @ ('b' | 'e' | 'x')) => return Err(format!("the option {letter} is not supported")),
                _ => return refuse("invalid embedded option"),
            }
        }
    }

    fn literal_rest(&mut self) {
        while let Some(character) = self.rest.next() {
            self.character(character);
        }
    }

    fn tokens(&mut self) -> Done {
        while let Some(character) = self.rest.next() {
            match character {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => self.other("|", Last::Nothing),
                '^' | '$' => self.other(&character.to_string(), Last::Nothing),
                '.' => self.other(".", Last::Atom),
                '[' => self.brackets()?,
                '*' | '+' | '?' => self.quantifier(&character.to_string())?,
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => self.bound()?,
                '\\' => match self.escape()? {
                    Escape::Character(character) => self.character(character),
                    Escape::Class(class) => self.other(class, Last::Atom),
                    Escape::Constraint(constraint) => self.other(constraint, Last::Nothing),
                },
                character => self.character(character),
            }
        }
        if self.open > 0 { refuse("parentheses () not balanced") } else { Ok(()) }
    }

    fn other(&mut self, text: &str, last: Last) {
        self.out.push_str(text);
        self.last = last;
    }

    fn character(&mut self, character: char) {
        push_character(&mut self.out, character);
        self.last = Last::Atom;
    }

    fn open_group(&mut self) -> Done {
        if self.take("?#") {
            while self.rest.next().ok_or("parentheses () not balanced")? != ')' {}
            return Ok(());
        }
        if self.take("?=") || self.take("?!") {
            return refuse("looking ahead, (?=…) and (?!…), is not supported");
        }
        if self.take("?<=") || self.take("?<!") {
            return refuse("looking behind, (?<=…) and (?<!…), is not supported");
        }
        if !self.take("?:") {
            self.groups += 1;
        }
        if self.rest.peek() == Some(&'?') {
            return refuse("quantifier operand invalid");
        }
        self.open += 1;
        self.other("(?:", Last::Nothing);
        Ok(())
    }

    fn close_group(&mut self) -> Done {
        self.open = self.open.checked_sub(1).ok_or("parentheses () not balanced")?;
        self.other(")", Last::Atom);
        Ok(())
    }

    /// A quantifier; a `?` behind it asks for little, which no answer here depends on.
    fn quantifier(&mut self, text: &str) -> Done {
        if self.last != Last::Atom {
            return refuse("quantifier operand invalid");
        }
        self.take("?");
        self.other(text, Last::Quantifier);
        Ok(())
    }

    /// `{m}`, `{m,}` or `{m,n}` behind its brace.
    fn bound(&mut self) -> Done {
        let least = self.number()?;
        let most = if !self.take(",") {
            Some(least)
        } else if self.rest.peek().is_some_and(char::is_ascii_digit) {
            Some(self.number()?)
        } else {
            None
        };
        if !self.take("}") {
            return refuse("invalid repetition count(s)");
        }
        match most {
            Some(most) if most < least => refuse("invalid repetition count(s)"),
            Some(most) => self.quantifier(&format!("{{{least},{most}}}")),
            None => self.quantifier(&format!("{{{least},}}")),
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        let mut number = 0;
        while let Some(digit) = self.rest.peek().and_then(|digit| digit.to_digit(10)) {
            self.rest.next();
            number = number * 10 + digit;
            if number > REPETITIONS_MAX {
                return refuse("invalid repetition count(s)");
            }
        }
        Ok(number)
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Escape, String> {
        let invalid = || refuse("invalid escape \\ sequence");
        let Some(letter) = self.rest.next() else { return invalid() };
        if let Some(known) = class_or_constraint(letter) {
            return Ok(known);
        }
        let character = match letter {
            'c' => match self.rest.next() {
                Some(letter) => char::from((letter as u32 & 0x1F) as u8),
                None => return invalid(),
            },
            'u' => self.code(16, 4, 4)?,
            'U' => self.code(16, 8, 8)?,
            'x' => self.code(16, 1, 8)?,
            '0'..='9' => self.octal_or_reference(letter)?,
            letter if letter.is_ascii_alphanumeric() => match control(letter) {
                Some(character) => character,
                None => return invalid(),
            },
            character => character,
        };
        Ok(Escape::Character(character))
    }

    /// A character by its number.
    fn code(&mut self, radix: u32, least: usize, most: usize) -> Result<char, String> {
        let mut number = 0u32;
        let mut digits = 0;
        while digits < most
            && let Some(digit) = self.rest.peek().and_then(|digit| digit.to_digit(radix))
        {
            self.rest.next();
            digits += 1;
            number = number.checked_mul(radix).and_then(|number| number.checked_add(digit)).ok_or("invalid escape \\ sequence")?;
        }
        let character = char::from_u32(number).filter(|_| digits >= least);
        character.ok_or_else(|| "invalid escape \\ sequence".to_owned())
    }

    /// A lone digit but 0, or a number of as many groups as there are so far, refers back to a group; others are octal.
    fn octal_or_reference(&mut self, first: char) -> Result<char, String> {
        let digits = self.rest.clone().take_while(char::is_ascii_digit);
        let number = std::iter::once(first).chain(digits).collect::<String>();
        let group = number.parse::<u32>().unwrap_or(u32::MAX);
        if first != '0' && (number.len() == 1 || group <= self.groups) {
            return refuse("back-references are not supported");
        }
        let octal: String = number.chars().take(3).take_while(|digit| digit.is_digit(8)).collect();
        for _ in 1..octal.len() {
            self.rest.next();
        }
        let code = u32::from_str_radix(&octal, 8).ok().and_then(char::from_u32);
        code.ok_or_else(|| "invalid escape \\ sequence".to_owned())
    }

    /// A bracket expression behind its bracket.
    fn brackets(&mut self) -> Done {
        if self.take("[:<:]]") {
            self.other(r"\b{start}", Last::Nothing);
            return Ok(());
        }
        if self.take("[:>:]]") {
            self.other(r"\b{end}", Last::Nothing);
            return Ok(());
        }
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
            if !self.newline.any {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        while first || self.rest.peek() != Some(&']') {
            self.bracket_item(first)?;
            first = false;
        }
        self.rest.next();
        self.other("]", Last::Atom);
        Ok(())
    }

    /// A class, a character, or a range of characters.
    fn bracket_item(&mut self, first: bool) -> Done {
        let lone_minus = self.rest.peek() == Some(&'-') && !first && self.rest.clone().nth(1) != Some(']');
        if lone_minus {
            return refuse("invalid character range");
        }
        let Some(from) = self.bracket_element()? else { return Ok(()) };
        let is_range = self.rest.peek() == Some(&'-') && self.rest.clone().nth(1).is_some_and(|next| next != ']');
        push_character(&mut self.out, from);
        if !is_range {
            return Ok(());
        }
        self.rest.next();
        match self.bracket_element()? {
            Some(to) if from <= to => {
                self.out.push('-');
                push_character(&mut self.out, to);
                Ok(())
            }
            _ => refuse("invalid character range"),
        }
    }

    /// A character of a bracket expression, or a class, which is written at once.
    fn bracket_element(&mut self) -> Result<Option<char>, String> {
        if self.take("[:") {
            let class = class(&self.named(":]")?)?;
            self.out.push_str(class);
            return Ok(None);
        }
        for (open, close) in [("[.", ".]"), ("[=", "=]")] {
            if self.take(open) {
                let name = self.named(close)?;
                let mut characters = name.chars();
                return match (characters.next(), characters.next()) {
                    (Some(character), None) => Ok(Some(character)),
                    _ => refuse("invalid collating element"),
                };
            }
        }
        match self.rest.next() {
            None => refuse("brackets [] not balanced"),
            Some('\\') => match self.escape()? {
                Escape::Character(character) => Ok(Some(character)),
                Escape::Class(class) => {
                    self.out.push_str(class);
                    Ok(None)
                }
                Escape::Constraint(_) => refuse("invalid escape \\ sequence"),
            },
            character => Ok(character),
        }
    }

    /// A name up to what closes it.
    fn named(&mut self, close: &str) -> Result<String, String> {
        let mut name = String::new();
        while !self.take(close) {
            name.push(self.rest.next().ok_or("brackets [] not balanced")?);
        }
        Ok(name)
    }
}

/// Escapes for what is no single character.
fn class_or_constraint(letter: char) -> Option<Escape> {
    Some(match letter {
        'd' => Escape::Class("[0-9]"),
        'D' => Escape::Class("[^0-9]"),
        's' => Escape::Class(r"\s"),
        'S' => Escape::Class(r"\S"),
        'w' => Escape::Class(r"\w"),
        'W' => Escape::Class(r"\W"),
        'A' => Escape::Constraint(r"\A"),
        'Z' => Escape::Constraint(r"\z"),
        'm' => Escape::Constraint(r"\b{start}"),
        'M' => Escape::Constraint(r"\b{end}"),
        'y' => Escape::Constraint(r"\b"),
        'Y' => Escape::Constraint(r"\B"),
        _ => return None,
    })
}

/// Escapes for characters that are awkward to write.
fn control(letter: char) -> Option<char> {
    Some(match letter {
        'a' => '\x07',
        'b' => '\x08',
        'B' => '\\',
        'e' => '\x1B',
        'f' => '\x0C',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0B',
        _ => return None,
    })
}

/// A named class, to stand in brackets.
fn class(name: &str) -> Result<&'static str, String> {
    Ok(match name {
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "alpha" => r"\p{Alphabetic}",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\t\p{Zs}",
        "cntrl" => r"\p{Cc}",
        "digit" => "0-9",
        "graph" => r"[^\p{C}\p{Z}]",
        "lower" => r"\p{Lowercase}",
        "print" => r"[^\p{C}\p{Zl}\p{Zp}]",
        "punct" => r"\p{P}\p{S}",
        "space" => r"\s",
        "upper" => r"\p{Uppercase}",
        "word" => r"\w",
        "xdigit" => "0-9A-Fa-f",
        _ => return refuse("invalid character class"),
    })
}

/// A character that stands for itself, in brackets or outside.
fn push_character(out: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        out.push(character);
    } else {
        // Writing to a String does not fail.
        let _ = write!(out, "\\x{:02X}", character as u32);
    }
}
