//! Numbers as unsigned integers in the same order, and back. Total functions without branches on data, for hot loops.

const QUIET_NAN_32: u32 = 0x7FC0_0000;
const QUIET_NAN_64: u64 = 0x7FF8_0000_0000_0000;

/// Order-preserving bits of a signed integer.
#[inline]
pub fn from_i64(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

/// The integer of [`from_i64`].
#[inline]
pub fn to_i64(bits: u64) -> i64 {
    (bits ^ (1 << 63)) as i64
}

/// Order-preserving bits of a 128-bit integer.
#[inline]
pub fn from_i128(value: i128) -> u128 {
    (value as u128) ^ (1 << 127)
}

/// The integer of [`from_i128`].
#[inline]
pub fn to_i128(bits: u128) -> i128 {
    (bits ^ (1 << 127)) as i128
}

/// The one representative of numbers that SQL holds equal: 0.0 for −0.0, one NaN for all.
#[inline]
pub fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(QUIET_NAN_64) } else { value + 0.0 }
}

/// [`canonical_f64`] for REAL.
#[inline]
pub fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(QUIET_NAN_32) } else { value + 0.0 }
}

/// Order-preserving bits of a float: −∞ lowest, then the numbers, ∞, and NaN highest.
#[inline]
pub fn from_f64(value: f64) -> u64 {
    let bits = canonical_f64(value).to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | (1 << 63))
}

/// The float of [`from_f64`].
#[inline]
pub fn to_f64(bits: u64) -> f64 {
    f64::from_bits(bits ^ (((!bits as i64 >> 63) as u64) | (1 << 63)))
}

/// [`from_f64`] for REAL.
#[inline]
pub fn from_f32(value: f32) -> u32 {
    let bits = canonical_f32(value).to_bits();
    bits ^ (((bits as i32 >> 31) as u32) | (1 << 31))
}

/// The float of [`from_f32`].
#[inline]
pub fn to_f32(bits: u32) -> f32 {
    f32::from_bits(bits ^ (((!bits as i32 >> 31) as u32) | (1 << 31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_and_return() {
        let ascending =
            [f64::NEG_INFINITY, f64::MIN, -1.5, -f64::MIN_POSITIVE, -5e-324, 0.0, 5e-324, 1.0, 1.5, f64::MAX, f64::INFINITY, f64::NAN];
        for pair in ascending.windows(2) {
            assert!(from_f64(pair[0]) < from_f64(pair[1]), "{pair:?}");
            assert!(from_f32(pair[0] as f32) <= from_f32(pair[1] as f32), "{pair:?}");
        }
        for value in ascending {
            assert_eq!(to_f64(from_f64(value)).to_bits(), value.to_bits());
            assert_eq!(to_f32(from_f32(value as f32)).to_bits(), canonical_f32(value as f32).to_bits());
        }
        assert_eq!(from_f64(-0.0), from_f64(0.0));
        assert_eq!(from_f64(f64::from_bits(0xFFF8_0000_0000_0001)), from_f64(f64::NAN));
    }

    #[test]
    fn integers_keep_their_order_and_return() {
        for pair in [i64::MIN, -1, 0, 1, i64::MAX].windows(2) {
            assert!(from_i64(pair[0]) < from_i64(pair[1]));
            assert_eq!(to_i64(from_i64(pair[0])), pair[0]);
        }
        for pair in [i128::MIN, -1, 0, 1, i128::MAX].windows(2) {
            assert!(from_i128(pair[0]) < from_i128(pair[1]));
            assert_eq!(to_i128(from_i128(pair[0])), pair[0]);
        }
    }
}
