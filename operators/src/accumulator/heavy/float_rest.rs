//! The floats that a sum in fixed point has no place for ([`super::super::fixed_point`]): NaN and infinities are counted, numbers that
//! are very large or have very low bits are summed as an integer of any size. Ordinary data never gets here.
//!
//! A finite double is an integer in units of 2^−1074, its square one in units of 2^−2148, so the sum is exact and retracts. Counts are
//! modulo 2^64. Cost: at most 2,100 bits (4,200 for squares) and one allocation a row.

use super::super::bytes::{DecodeError, Reader, put_bytes, put_varint};
use num_bigint::{BigInt, Sign};

/// Binary digits after the point of the sum.
pub(in super::super) const FRACTION_BITS: i64 = 1074;

/// NaN, infinities and the exact sum of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FloatRest {
    pub(in super::super) nan: u64,
    pub(in super::super) positive_infinity: u64,
    pub(in super::super) negative_infinity: u64,
    /// In units of 2^−1074, or 2^−2148 for squares.
    pub(in super::super) sum: BigInt,
}

impl FloatRest {
    /// Adds a float, or its square.
    pub fn add(&mut self, value: f64, squares: bool) {
        match value {
            _ if value.is_nan() => self.nan = self.nan.wrapping_add(1),
            f64::INFINITY => self.positive_infinity = self.positive_infinity.wrapping_add(1),
            f64::NEG_INFINITY if squares => self.positive_infinity = self.positive_infinity.wrapping_add(1),
            f64::NEG_INFINITY => self.negative_infinity = self.negative_infinity.wrapping_add(1),
            _ if squares => self.sum += scaled(value).pow(2),
            _ => self.sum += scaled(value),
        }
    }

    /// True if the sum has no number: it contains a NaN or an infinity.
    pub(in super::super) fn is_special(&self) -> bool {
        self.nan != 0 || self.positive_infinity != 0 || self.negative_infinity != 0
    }

    /// The NaN or infinity that the sum is, if it is one.
    pub(in super::super) fn special(&self) -> Option<f64> {
        match (self.nan, self.positive_infinity, self.negative_infinity) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(f64::INFINITY),
            (0, 0, _) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    pub(super) fn merge(&mut self, other: &FloatRest) {
        self.nan = self.nan.wrapping_add(other.nan);
        self.positive_infinity = self.positive_infinity.wrapping_add(other.positive_infinity);
        self.negative_infinity = self.negative_infinity.wrapping_add(other.negative_infinity);
        self.sum += &other.sum;
    }

    pub(super) fn retract(&mut self, other: &FloatRest) {
        self.nan = self.nan.wrapping_sub(other.nan);
        self.positive_infinity = self.positive_infinity.wrapping_sub(other.positive_infinity);
        self.negative_infinity = self.negative_infinity.wrapping_sub(other.negative_infinity);
        self.sum -= &other.sum;
    }

    pub(super) fn is_identity(&self) -> bool {
        !self.is_special() && self.sum.sign() == Sign::NoSign
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.sum.bits().div_ceil(8) as usize
    }

    /// Counts of NaN, ∞ and −∞ in LEB128, then length and bytes of the sum's shortest two's complement, the low bytes first, length 0
    /// for zero.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for count in [self.nan, self.positive_infinity, self.negative_infinity] {
            put_varint(out, count);
        }
        put_bytes(out, &shortest(&self.sum));
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<FloatRest, DecodeError> {
        let (nan, positive_infinity, negative_infinity) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let bytes = reader.bytes()?;
        let sum = BigInt::from_signed_bytes_le(bytes);
        if shortest(&sum) != bytes {
            return Err(DecodeError::Invalid("a sum not in its shortest form"));
        }
        Ok(FloatRest { nan, positive_infinity, negative_infinity, sum })
    }
}

fn shortest(sum: &BigInt) -> Vec<u8> {
    if sum.sign() == Sign::NoSign { Vec::new() } else { sum.to_signed_bytes_le() }
}

/// A finite float in units of 2^−1074.
pub(in super::super) fn scaled(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> 52) & 0x7FF, bits & ((1 << 52) - 1));
    // A subnormal has the exponent of the lowest normal number and no leading 1.
    let magnitude = if field == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | (1 << 52)) << (field - 1) };
    if value < 0.0 { -magnitude } else { magnitude }
}
