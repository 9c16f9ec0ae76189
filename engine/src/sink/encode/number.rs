//! Whole numbers as digits, two at a time.

const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839\
40414243444546474849505152535455565758596061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Appends a whole number.
pub(super) fn push_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    while left >= 100 {
        let pair = (left % 100) as usize * 2;
        left /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if left >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[left as usize * 2..left as usize * 2 + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + left as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_agree_with_the_standard_library() {
        let powers = (0..19).map(|exponent| 10i64.pow(exponent));
        for value in powers.flat_map(|power| [power, power - 1, -power, power + 7]).chain([i64::MIN, i64::MAX, 0]) {
            let mut out = Vec::new();
            push_integer(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), value.to_string());
        }
    }
}
