//! Strings of random letters.

use crate::source::random::Sequence;

/// Letters taken from one random number.
const LETTERS_PER_NUMBER: usize = 12;

/// Appends `length` lower-case letters.
pub(super) fn push_letters(out: &mut String, random: &mut Sequence, length: usize) {
    let mut left = length;
    while left > 0 {
        let mut number = random.next();
        for _ in 0..left.min(LETTERS_PER_NUMBER) {
            out.push(char::from(b'a' + (((number >> 32) * 26) >> 32) as u8));
            number = number.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
        }
        left -= left.min(LETTERS_PER_NUMBER);
    }
}

/// Appends letters, so many that a row of `fixed` other bytes comes to about `average`: four to six fifths of the difference.
pub(super) fn push_extra(out: &mut String, random: &mut Sequence, fixed: usize, average: usize) {
    let wanted = average.saturating_sub(fixed);
    let delta = (wanted + 2) / 5;
    let length = wanted - delta + random.below(2 * delta as u64 + 1) as usize;
    push_letters(out, random, length);
}

/// A path of three words, for addresses of items.
pub(super) fn url(random: &mut Sequence) -> String {
    let mut url = String::from("https://www.nexmark.com");
    for _ in 0..3 {
        url.push('/');
        let length = 3 + random.below(2) as usize;
        push_letters(&mut url, random, length);
    }
    url.push_str("/item.htm?query=1");
    url
}
