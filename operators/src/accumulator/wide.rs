//! Arithmetic of cells: two's complement integers of N words of 64 bits, lowest word first, and the bits of extremes.
//!
//! Everything wraps modulo 2^(64·N). That the sums of this crate never do is proved where their inputs are made: an input of `Wide4`
//! takes at most 192 bits with its sign ([`super::fixed_point`], integers and decimals) and one of `Wide8` at most 383, so 2^63 rows fit
//! into either.

use crate::keycode::ordered;

/// Sum of two narrow cells; `None` if it needs a wider one.
#[inline]
pub fn narrow_add(left: i64, right: i64) -> Option<i64> {
    left.checked_add(right)
}

/// Adds `value` to `cell`.
#[inline]
pub fn wide_add<const N: usize>(cell: &mut [u64; N], value: &[u64; N]) {
    let mut carry = false;
    for (cell, &value) in cell.iter_mut().zip(value) {
        let (sum, first) = cell.overflowing_add(value);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        *cell = sum;
        carry = first | second;
    }
}

/// Subtracts `value` from `cell`.
#[inline]
pub fn wide_sub<const N: usize>(cell: &mut [u64; N], value: &[u64; N]) {
    let mut borrow = false;
    for (cell, &value) in cell.iter_mut().zip(value) {
        let (difference, first) = cell.overflowing_sub(value);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *cell = difference;
        borrow = first | second;
    }
}

/// Negates `cell`.
#[inline]
pub fn wide_negate<const N: usize>(cell: &mut [u64; N]) {
    let mut negated = [0; N];
    wide_sub(&mut negated, cell);
    *cell = negated;
}

/// True below zero.
#[inline]
pub fn wide_is_negative<const N: usize>(value: &[u64; N]) -> bool {
    value[N - 1] >> 63 == 1
}

/// The same number in more words.
#[inline]
pub fn wide_extend<const N: usize, const M: usize>(value: &[u64; N]) -> [u64; M] {
    const { assert!(N <= M) };
    let mut wide = [if wide_is_negative(value) { u64::MAX } else { 0 }; M];
    wide[..N].copy_from_slice(value);
    wide
}

/// The same number in fewer words, if it fits.
#[inline]
pub fn wide_shrink<const N: usize, const M: usize>(value: &[u64; N]) -> Option<[u64; M]> {
    const { assert!(N >= M) };
    let mut narrow = [0; M];
    narrow.copy_from_slice(&value[..M]);
    (wide_extend::<M, N>(&narrow) == *value).then_some(narrow)
}

/// An integer in N words.
#[inline]
pub fn wide_from_i64<const N: usize>(value: i64) -> [u64; N] {
    wide_extend(&[value as u64])
}

/// An integer in N words.
#[inline]
pub fn wide_from_i128<const N: usize>(value: i128) -> [u64; N] {
    wide_extend(&[value as u64, (value >> 64) as u64])
}

/// The number as 64 bits, if it fits.
#[inline]
pub fn wide_to_i64<const N: usize>(value: &[u64; N]) -> Option<i64> {
    wide_shrink::<N, 1>(value).map(|[word]| word as i64)
}

/// The number as 128 bits, if it fits.
#[inline]
pub fn wide_to_i128<const N: usize>(value: &[u64; N]) -> Option<i128> {
    wide_shrink::<N, 2>(value).map(|[low, high]| i128::from(low) | (i128::from(high as i64) << 64))
}

/// `value` where all bits of the magnitude are `bits`, moved up by `shift` bits. The caller knows that it fits.
#[inline]
pub(super) fn wide_shifted<const N: usize>(bits: u128, shift: u32) -> [u64; N] {
    let (word, bit) = ((shift / 64) as usize, shift % 64);
    let (low, high) = (bits << bit, if bit == 0 { 0 } else { (bits >> (128 - bit)) as u64 });
    let mut wide = [0; N];
    for (cell, part) in wide[word..].iter_mut().zip([low as u64, (low >> 64) as u64, high]) {
        *cell = part;
    }
    wide
}

/// The square of an integer of 64 bits; it takes at most 127 bits.
#[inline]
pub fn square_i64(value: i64) -> i128 {
    i128::from(value) * i128::from(value)
}

/// The square of an integer of 128 bits; it takes at most 255 bits.
#[inline]
pub fn square_i128(value: i128) -> [u64; 8] {
    let magnitude = value.unsigned_abs();
    let (low, high) = (magnitude as u64, (magnitude >> 64) as u64);
    let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
    let mut square = [0; 8];
    for (part, shift) in [(product(low, low), 0), (product(low, high), 64), (product(low, high), 64), (product(high, high), 128)] {
        wide_add(&mut square, &wide_shifted(part, shift));
    }
    square
}

/// Bits of `Max` for an integer, DATE or timestamp.
#[inline]
pub fn max_bits_i64(value: i64) -> u64 {
    ordered::from_i64(value)
}

/// Bits of `Max` for a float; REAL is converted to DOUBLE PRECISION first. NaN is the greatest.
#[inline]
pub fn max_bits_f64(value: f64) -> u64 {
    ordered::from_f64(value)
}

/// Bits of `Max` for a BOOLEAN.
#[inline]
pub fn max_bits_bool(value: bool) -> u64 {
    u64::from(value)
}

/// Bits of `Min` from those of `Max`, and back.
#[inline]
pub fn min_bits(max_bits: u64) -> u64 {
    !max_bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;

    fn big<const N: usize>(value: &[u64; N]) -> BigInt {
        let bytes: Vec<u8> = value.iter().flat_map(|word| word.to_le_bytes()).collect();
        BigInt::from_signed_bytes_le(&bytes)
    }

    const INTEGERS: [i128; 11] = [
        0,
        1,
        -1,
        i64::MAX as i128,
        i64::MIN as i128,
        1 << 64,
        -(1 << 64),
        (1 << 100) - 1,
        i128::MAX,
        i128::MIN,
        0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210,
    ];

    #[test]
    fn sums_differences_and_squares_are_those_of_integers() {
        for a in INTEGERS {
            for b in INTEGERS {
                let mut cell: [u64; 4] = wide_from_i128(a);
                wide_add(&mut cell, &wide_from_i128(b));
                assert_eq!(big(&cell), BigInt::from(a) + b);
                wide_sub(&mut cell, &wide_from_i128(b));
                wide_sub(&mut cell, &wide_from_i128(b));
                assert_eq!(big(&cell), BigInt::from(a) - b);
                wide_negate(&mut cell);
                assert_eq!(big(&cell), BigInt::from(b) - a);
            }
            assert_eq!(big(&square_i128(a)), BigInt::from(a) * a);
        }
    }

    #[test]
    fn widths_change_without_changing_the_number() {
        for a in INTEGERS {
            let wide: [u64; 8] = wide_from_i128(a);
            assert_eq!(wide_to_i128(&wide), Some(a));
            assert_eq!(wide_to_i64(&wide), i64::try_from(a).ok());
            assert_eq!(wide_shrink::<8, 4>(&wide).map(|words| big(&words)), Some(BigInt::from(a)));
        }
        let mut beyond: [u64; 4] = wide_from_i128(i128::MAX);
        wide_add(&mut beyond, &wide_from_i64(1));
        assert_eq!(wide_to_i128(&beyond), None);
        assert_eq!(big(&wide_shifted::<8>(u128::MAX, 383)), BigInt::from(u128::MAX) << 383);
        assert_eq!(big(&wide_shifted::<4>(0x1F_FFFF_FFFF_FFFF, 138)), BigInt::from(0x1F_FFFF_FFFF_FFFFu64) << 138);
    }
}
