//! Floats as fixed-point integers, so that their sums are exact and the same in any order.
//!
//! A finite float is m · 2^e with integers m and e. In units of 2^−128 it is an integer if its lowest bit is not below 2^−128; below
//! 2^63 in magnitude that integer takes 191 bits and a sign, hence 2^63 of them add up inside 256 bits. Its square in units of 2^−256
//! takes 382 bits, and 2^64 of those fit into 512. Practically every float in the wild is among them: all of magnitude between 2^−76
//! (10^−23) and 2^63 (10^19), zero, and many below. The others return `None` and belong to [`super::heavy::FloatRest`].

use super::wide::{wide_negate, wide_shifted};

/// Binary digits after the point of a `Sum` of floats.
pub const SUM_FRACTION_BITS: u32 = 128;
/// Binary digits after the point of a `SumSquares` of floats.
pub const SQUARES_FRACTION_BITS: u32 = 2 * SUM_FRACTION_BITS;

/// Lowest exponent field whose numbers are too large: 2^63 and more.
const EXPONENT_FIELD_END: u32 = 1023 + 63;
/// Exponent field at which the mantissa's last bit has the weight 2^−128.
const EXPONENT_FIELD_OF_UNIT: u32 = 1023 + 52 - SUM_FRACTION_BITS;

/// |value| in units of 2^−128 as (bits, shift) with bits below 2^53 and shift at most 138; `None` if it does not fit.
#[inline]
fn magnitude(value: f64) -> Option<(u64, u32)> {
    let bits = value.to_bits();
    let field = (bits >> 52) as u32 & 0x7FF;
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    if field >= EXPONENT_FIELD_END {
        None
    } else if field >= EXPONENT_FIELD_OF_UNIT {
        Some((mantissa, field - EXPONENT_FIELD_OF_UNIT))
    } else {
        small_magnitude(value, mantissa, EXPONENT_FIELD_OF_UNIT - field)
    }
}

/// Of a number whose mantissa reaches `excess` bits below the unit: it fits if those are zeros. A subnormal never does.
#[cold]
fn small_magnitude(value: f64, mantissa: u64, excess: u32) -> Option<(u64, u32)> {
    if value == 0.0 {
        return Some((0, 0));
    }
    (mantissa.trailing_zeros() >= excess).then(|| (mantissa >> excess, 0))
}

/// The float in units of 2^−128; `None` if it belongs to the rest.
#[inline]
pub fn float_to_wide(value: f64) -> Option<[u64; 4]> {
    let (bits, shift) = magnitude(value)?;
    let mut wide = wide_shifted(u128::from(bits), shift);
    if value < 0.0 {
        wide_negate(&mut wide);
    }
    Some(wide)
}

/// The float's square in units of 2^−256; `None` exactly where [`float_to_wide`] has none.
#[inline]
pub fn float_square_to_wide(value: f64) -> Option<[u64; 8]> {
    let (bits, shift) = magnitude(value)?;
    Some(wide_shifted(u128::from(bits) * u128::from(bits), 2 * shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;

    fn big<const N: usize>(value: &[u64; N]) -> BigInt {
        let bytes: Vec<u8> = value.iter().flat_map(|word| word.to_le_bytes()).collect();
        BigInt::from_signed_bytes_le(&bytes)
    }

    #[test]
    fn floats_are_integers_of_the_unit() {
        let unit = 2f64.powi(-128);
        let largest = (2f64.powi(63)).next_down();
        for (value, expected) in [
            (0.0, BigInt::from(0)),
            (-0.0, BigInt::from(0)),
            (1.0, BigInt::from(1) << 128),
            (-1.5, BigInt::from(-3) << 127),
            (unit, BigInt::from(1)),
            (-3.0 * unit, BigInt::from(-3)),
            (largest, BigInt::from((1u64 << 53) - 1) << (128 + 10)),
            (-largest, BigInt::from(1 - (1i64 << 53)) << (128 + 10)),
        ] {
            assert_eq!(float_to_wide(value).map(|wide| big(&wide)), Some(expected.clone()), "{value:e}");
            assert_eq!(float_square_to_wide(value).map(|wide| big(&wide)), Some(&expected * &expected), "{value:e}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_rest() {
        let unit = 2f64.powi(-128);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(63), -2f64.powi(63), f64::MAX, unit / 2.0, 1.5 * unit, 5e-324] {
            assert_eq!(float_to_wide(value), None, "{value:e}");
            assert_eq!(float_square_to_wide(value), None, "{value:e}");
        }
    }
}
