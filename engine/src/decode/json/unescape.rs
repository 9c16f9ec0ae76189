//! What JSON escapes and exponents stand for.

/// Writes the text of a string, whose grammar has been checked, to `out`. Fails on half a surrogate pair.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        rest = match escape {
            [b'u', ..] => unicode(escape, out)?,
            [letter, rest @ ..] => {
                out.push(plain(*letter));
                rest
            }
            [] => return Err("a backslash at the end of a string".to_owned()),
        };
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn plain(letter: u8) -> u8 {
    match letter {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// `uXXXX`, or a surrogate pair `uXXXX\uXXXX`; returns what follows.
fn unicode<'a>(escape: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], String> {
    const HALF: &str = "half a surrogate pair in a string";
    let first = hex(escape, 1).ok_or(HALF)?;
    let (code, length) = if (0xD800..0xDC00).contains(&first) {
        let second = (escape.get(5..7) == Some(b"\\u")).then(|| hex(escape, 7)).flatten();
        let second = second.filter(|code| (0xDC00..0xE000).contains(code)).ok_or(HALF)?;
        (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 11)
    } else {
        (first, 5)
    };
    let character = char::from_u32(code).ok_or(HALF)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(&escape[length..])
}

fn hex(text: &[u8], at: usize) -> Option<u32> {
    let digit = |code: u32, &byte: &u8| Some(code << 4 | char::from(byte).to_digit(16)?);
    text.get(at..at + 4)?.iter().try_fold(0, digit)
}

/// Writes a number with a point or exponent as plain digits to `out`, if it is whole and has at most 40 of them.
pub(super) fn integral(number: &[u8], out: &mut Vec<u8>) -> bool {
    let (mantissa, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&number[..at], std::str::from_utf8(&number[at + 1..]).ok().and_then(|text| text.parse::<i64>().ok())),
        None => (number, Some(0)),
    };
    let Some(exponent) = exponent else { return false };
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let fraction = mantissa.len().saturating_sub(point + 1) as i64;
    out.clear();
    out.extend(mantissa.iter().filter(|byte| byte.is_ascii_digit()));
    let zeros_after = exponent.saturating_sub(fraction);
    let leading = out.iter().take_while(|&&byte| byte == b'0').count();
    out.drain(..leading.min(out.len() - 1));
    if out.as_slice() != b"0" && !shift(out, zeros_after) {
        return false;
    }
    if mantissa.first() == Some(&b'-') {
        out.insert(0, b'-');
    }
    out.len() <= 41
}

/// Multiplies digits by a power of ten; false if the result is not whole or far too long.
fn shift(digits: &mut Vec<u8>, power: i64) -> bool {
    match usize::try_from(power) {
        Ok(zeros) if zeros <= 40 => digits.resize(digits.len() + zeros, b'0'),
        Ok(_) => return false,
        Err(_) => {
            let dropped = usize::try_from(power.unsigned_abs()).unwrap_or(usize::MAX);
            let whole = digits.len() > dropped && digits[digits.len() - dropped..].iter().all(|&byte| byte == b'0');
            if !whole {
                return false;
            }
            digits.truncate(digits.len() - dropped);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_point_or_exponent() {
        let whole = |text: &str| {
            let mut out = Vec::new();
            integral(text.as_bytes(), &mut out).then(|| String::from_utf8(out).expect("digits"))
        };
        for (text, digits) in [("1.0", "1"), ("1e3", "1000"), ("-12.50e1", "-125"), ("0.0", "0"), ("0e999999999999", "0"), ("10e-1", "1")] {
            assert_eq!(whole(text).as_deref(), Some(digits), "{text}");
        }
        for text in ["1.5", "1e-1", "1e99", "1e99999999999999999999", "0.001"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn escapes() {
        let text = |raw: &str| {
            let mut out = Vec::new();
            unescape(raw.as_bytes(), &mut out).map(|()| String::from_utf8(out).expect("text"))
        };
        assert_eq!(text(r#"a\"\\\/\b\f\n\r\tz"#).as_deref(), Ok("a\"\\/\u{8}\u{c}\n\r\tz"));
        assert_eq!(text(r"\u00e4\ud83d\ude00").as_deref(), Ok("ä😀"));
        assert!(text(r"\ud83d").is_err() && text(r"\ude00").is_err() && text(r"\ud83d\u0041").is_err());
        assert!(text(r"\u+041").is_err(), "a sign is no digit");
    }
}
