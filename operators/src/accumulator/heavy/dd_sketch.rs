//! DDSketch: quantiles with a relative error of at most 1 %, exact counts per bucket, so that it merges and retracts.
//!
//! Masson, Rim, Lee, *DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees* (VLDB 2019), with buckets
//! that divide each power of two into [`PARTS`] = 64 equal parts, in place of powers of one base: the mapping that interpolates the
//! logarithm linearly. A bucket is therefore known from the bits of a double (exponent and the first 6 bits after it), with no logarithm,
//! whose last bits differ between machines. A bucket from l to h answers 2·l·h/(l+h), at most (h−l)/(h+l) ≤ 1/129 = 0.78 % away
//! from any of its values. That is 1.85 times the buckets an ideal logarithm needs; there is no limit on their number, so the bound
//! always holds, and data over k powers of two takes at most 64·k of them.
//!
//! Buckets have one order for all numbers: negative, zero, positive, infinities at the ends, then NaN, which SQL holds greatest.

use super::super::bytes::{DecodeError, Reader, put_varint};
use std::collections::BTreeMap;

/// Buckets to a power of two.
const PARTS: i32 = 64;
const PART_BITS: u32 = 6;
const MANTISSA_BITS: u32 = 52;
/// Powers of two below the normal numbers.
const SUBNORMAL_POWERS: i32 = 64;
/// Added to the index of a positive number's bucket, so that the least one (2^−1074, index −3264) gets bucket 1 and zero bucket 0.
const SHIFT: i32 = 3265;
const INFINITY: i32 = 2047 * PARTS + SHIFT;
const NAN: i32 = INFINITY + 1;

/// Bucket → number of rows modulo 2^64, never 0. Buckets of negative numbers are the negated ones of their magnitudes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DdSketch {
    buckets: BTreeMap<i32, u64>,
}

/// The bucket of a number; a greater number never has a lower one.
fn bucket(value: f64) -> i32 {
    let magnitude = value.abs();
    let number = match magnitude {
        0.0 => 0,
        _ if value.is_nan() => return NAN,
        // Made normal by an exact product.
        _ if magnitude < f64::MIN_POSITIVE => index(magnitude * two_to(SUBNORMAL_POWERS)) - SUBNORMAL_POWERS * PARTS + SHIFT,
        _ => index(magnitude) + SHIFT,
    };
    if value < 0.0 { -number } else { number }
}

/// Exponent field and first bits of the mantissa of a normal number.
fn index(magnitude: f64) -> i32 {
    (magnitude.to_bits() >> (MANTISSA_BITS - PART_BITS)) as i32
}

/// The number that a bucket answers.
fn representative(bucket: i32) -> f64 {
    let magnitude = match bucket.abs() {
        0 => 0.0,
        NAN => return f64::NAN,
        INFINITY => f64::INFINITY,
        bucket => {
            let index = bucket - SHIFT;
            let (exponent_field, part) = (index.div_euclid(PARTS), f64::from(index.rem_euclid(PARTS) + PARTS));
            // In units of the power of two: l = part/64 and h = (part + 1)/64, a mean below 2.
            let mean = 2.0 * part * (part + 1.0) / (2.0 * part + 1.0) / f64::from(PARTS);
            scale(mean, exponent_field - 1023)
        }
    };
    if bucket < 0 { -magnitude } else { magnitude }
}

/// 2^`power`, from −1022 to 1023.
fn two_to(power: i32) -> f64 {
    f64::from_bits(((power + 1023) as u64) << MANTISSA_BITS)
}

/// `mean` · 2^`power`, rounded once: below the normal numbers by the last product only.
fn scale(mean: f64, power: i32) -> f64 {
    if power < -1022 { mean * two_to(power + SUBNORMAL_POWERS) * two_to(-SUBNORMAL_POWERS) } else { mean * two_to(power) }
}

impl DdSketch {
    /// Adds a number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.add_rows(bucket(value), 1);
    }

    fn add_rows(&mut self, bucket: i32, rows: u64) {
        let count = self.buckets.entry(bucket).or_insert(0);
        *count = count.wrapping_add(rows);
        if *count == 0 {
            self.buckets.remove(&bucket);
        }
    }

    /// The number with rank ⌊q·(n−1)⌋ among n, counted from 0, to 1 %. `None` without numbers.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rows: u64 = self.buckets.values().fold(0, |rows, &count| rows.wrapping_add(count));
        let rank = ((q * rows.saturating_sub(1) as f64) as u64).min(rows.saturating_sub(1));
        let mut below = 0u64;
        for (&bucket, &count) in &self.buckets {
            below = below.wrapping_add(count);
            if below > rank {
                return Some(representative(bucket));
            }
        }
        None
    }

    pub(super) fn merge(&mut self, other: &DdSketch) {
        for (&bucket, &count) in &other.buckets {
            self.add_rows(bucket, count);
        }
    }

    pub(super) fn retract(&mut self, other: &DdSketch) {
        for (&bucket, &count) in &other.buckets {
            self.add_rows(bucket, count.wrapping_neg());
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.buckets.is_empty()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A node of the tree holds 5 to 11 entries.
        self.buckets.len() * 2 * size_of::<(i32, u64)>()
    }

    /// The number of buckets, then by ascending bucket: for the first its number less the lowest there is, for the others the
    /// distance to the one before, and its count. All LEB128.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.buckets.len() as u64);
        let mut previous = -INFINITY;
        for (&bucket, &count) in &self.buckets {
            put_varint(out, (bucket - previous) as u64);
            put_varint(out, count);
            previous = bucket;
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<DdSketch, DecodeError> {
        let mut buckets = BTreeMap::new();
        let mut bucket = -i64::from(INFINITY);
        for i in 0..reader.varint()? {
            let (distance, count) = (reader.varint()?, reader.varint()?);
            bucket = i64::try_from(distance).ok().and_then(|distance| bucket.checked_add(distance)).unwrap_or(i64::MAX);
            if bucket > i64::from(NAN) || count == 0 || (i > 0 && distance == 0) {
                return Err(DecodeError::Invalid("buckets out of order or range, or empty"));
            }
            buckets.insert(bucket as i32, count);
        }
        Ok(DdSketch { buckets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_order_and_answer_within_the_bound() {
        let mut magnitudes: Vec<f64> =
            (-1074..1024).flat_map(|power| [1.0, 1.0078, 1.0157, 1.3, 1.9999].map(|m| m * 2f64.powf(f64::from(power)))).collect();
        magnitudes.extend([5e-324, 1.5e-323, f64::MIN_POSITIVE, f64::MIN_POSITIVE.next_down(), f64::MAX]);
        magnitudes.retain(|&magnitude| magnitude > 0.0 && magnitude.is_finite());
        magnitudes.sort_by(f64::total_cmp);
        assert_eq!(bucket(5e-324), 1);
        assert_eq!((bucket(0.0), bucket(-0.0)), (0, 0));
        for pair in magnitudes.windows(2) {
            assert!(bucket(pair[0]) <= bucket(pair[1]) && bucket(-pair[0]) >= bucket(-pair[1]), "{pair:?}");
        }
        for magnitude in magnitudes {
            let answer = representative(bucket(magnitude));
            assert!((answer - magnitude).abs() <= magnitude / 129.0 * 1.000_001, "{magnitude:e} became {answer:e}");
            assert_eq!(representative(bucket(-magnitude)), -answer);
        }
        let specials = [f64::NEG_INFINITY, f64::MIN, 0.0, f64::MAX, f64::INFINITY, f64::NAN];
        assert!(specials.windows(2).all(|pair| bucket(pair[0]) < bucket(pair[1])));
        assert!(representative(bucket(f64::NAN)).is_nan());
        assert_eq!(representative(bucket(f64::NEG_INFINITY)), f64::NEG_INFINITY);
    }
}
