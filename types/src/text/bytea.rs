//! BYTEA: written as `\x` and hexadecimal digits; PostgreSQL's older escapes (`\\`, `\ooo`) are read too.

use super::ParseError;
use std::fmt::{self, Write};

const BYTEA: &str = "\\x and pairs of hexadecimal digits";

/// Appends the bytes to `out`.
pub fn parse_bytea(text: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    match text {
        [b'\\', b'x', digits @ ..] => parse_hex(digits, out),
        _ => parse_escaped(text, out),
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn parse_hex(digits: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ParseError::Malformed(BYTEA));
    }
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else { return Err(ParseError::Malformed(BYTEA)) };
        out.push(high << 4 | low);
    }
    Ok(())
}

fn parse_escaped(mut text: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    loop {
        text = match text {
            [] => return Ok(()),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(ParseError::Malformed(BYTEA)),
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// `\x` and two hexadecimal digits a byte.
pub fn write_bytea(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    out.write_str("\\x")?;
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}
