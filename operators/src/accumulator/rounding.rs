//! Exact rationals to the nearest double, ties to even: the only place where results are rounded.
//!
//! A quotient is computed to more bits than a double has, with a *sticky* flag for what is left below; the flag decides ties, so the
//! rounding is the one of the infinitely long quotient. Where dividend and divisor are doubles already, the processor's division is
//! correctly rounded by itself and is used.

use super::wide::{wide_is_negative, wide_negate};
use num_bigint::{BigInt, BigUint, Sign};

/// Integers up to here are doubles, exactly.
const EXACT_MAX: u64 = 1 << 53;

/// ±`bits`·2^`exponent`, plus something below the last bit if `sticky`, rounded. Sticky needs `bits` ≥ 2^54. May return an infinity.
fn compose(negative: bool, bits: u64, sticky: bool, exponent: i64) -> f64 {
    debug_assert!(!sticky || bits >> 54 != 0, "a rounding without enough bits");
    if bits == 0 {
        return 0.0;
    }
    let shift = bits.leading_zeros();
    let (bits, top) = (bits << shift, exponent - i64::from(shift) + 63);
    let magnitude = if top > 1023 { f64::INFINITY } else { f64::from_bits(compose_finite(bits, sticky, top)) };
    if negative { -magnitude } else { magnitude }
}

/// The pattern of `bits`·2^(`top`−63) with the top bit of `bits` set. Rounding up carries into the exponent, as far as infinity.
fn compose_finite(bits: u64, sticky: bool, top: i64) -> u64 {
    let below_normal = (-1022 - top).max(0);
    let dropped = 11 + below_normal.min(64) as u32;
    let (kept, rest, half) = match dropped {
        0..=63 => (bits >> dropped, bits & ((1 << dropped) - 1), 1 << (dropped - 1)),
        64 => (0, bits, 1 << 63),
        _ => return 0,
    };
    let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    let exponent_field = if below_normal > 0 { 0 } else { (top + 1022) as u64 };
    (exponent_field << 52) + kept + u64::from(up)
}

/// `numerator` / `denominator` · 2^`exponent`, rounded.
pub(super) fn ratio(numerator: &BigInt, denominator: &BigUint, exponent: i64) -> f64 {
    let magnitude = numerator.magnitude();
    if magnitude.bits() == 0 {
        return 0.0;
    }
    // A quotient of 67 or 68 bits.
    let shift = 67 + denominator.bits() as i64 - magnitude.bits() as i64;
    let scaled = if shift >= 0 { magnitude << shift as u64 } else { magnitude.clone() };
    let divisor = if shift >= 0 { denominator.clone() } else { denominator << (-shift) as u64 };
    let quotient = &scaled / &divisor;
    let sticky = &quotient * &divisor != scaled;
    let excess = quotient.bits().saturating_sub(64);
    let lost = quotient.trailing_zeros().is_some_and(|zeros| zeros < excess);
    let bits = (quotient >> excess).iter_u64_digits().next().unwrap_or(0);
    compose(numerator.sign() == Sign::Minus, bits, sticky || lost, exponent - shift + excess as i64)
}

/// `sum` / `divisor` · 2^`exponent`, rounded. The divisor is not 0.
pub(super) fn quotient<const N: usize>(sum: &[u64; N], divisor: u64, exponent: i64) -> f64 {
    let negative = wide_is_negative(sum);
    let mut words = *sum;
    if negative {
        wide_negate(&mut words);
    }
    let Some(top) = words.iter().rposition(|&word| word != 0) else { return 0.0 };
    // Digits of 64 bits, from the top to two places below the point: the sum is at least 1 and the divisor below 2^64, so the first
    // digit that is not 0 comes one place below the point at the latest, and with the next one it gives more bits than are needed.
    let (mut remainder, mut digits, mut found, mut place, mut lost) = (0u128, [0u64; 2], 0, 0, false);
    for position in (-2..=top as i64).rev() {
        let word = if position < 0 { 0 } else { words[position as usize] };
        let dividend = (remainder << 64) | u128::from(word);
        let digit = (dividend / u128::from(divisor)) as u64;
        remainder = dividend % u128::from(divisor);
        match digits.get_mut(found) {
            _ if found == 0 && digit == 0 => continue,
            Some(slot) => (*slot, place) = (digit, position),
            None => lost |= digit != 0,
        }
        found += 1;
    }
    let joined = (u128::from(digits[0]) << 64) | u128::from(digits[1]);
    let shift = joined.leading_zeros();
    let bits = ((joined << shift) >> 64) as u64;
    let sticky = lost || remainder != 0 || (joined << shift) as u64 != 0;
    compose(negative, bits, sticky, exponent + 64 * place + 64 - i64::from(shift))
}

/// `sum` / `divisor`, rounded. The divisor is not 0.
pub(super) fn quotient_i64(sum: i64, divisor: u64) -> f64 {
    if sum.unsigned_abs() <= EXACT_MAX && divisor <= EXACT_MAX {
        return sum as f64 / divisor as f64;
    }
    quotient(&[sum as u64], divisor, 0)
}

/// A decimal as the nearest double.
pub(super) fn decimal_to_f64(unscaled: i128, scale: u8) -> f64 {
    match (i64::try_from(unscaled), 10u64.checked_pow(u32::from(scale))) {
        (Ok(unscaled), Some(divisor)) => quotient_i64(unscaled, divisor),
        _ => ratio(&BigInt::from(unscaled), &BigUint::from(10u8).pow(u32::from(scale)), 0),
    }
}

/// An integer of N words.
pub(super) fn to_big<const N: usize>(value: &[u64; N]) -> BigInt {
    let negative = wide_is_negative(value);
    let mut words = *value;
    if negative {
        wide_negate(&mut words);
    }
    let digits = words.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]).collect();
    BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, BigUint::new(digits))
}
