//! Exact fractions, and what it means for a double to be the nearest to one.

use num_bigint::{BigInt, Sign};
use raympp_types::Value;
use std::cmp::Ordering;

/// numerator / denominator, the denominator above 0.
#[derive(Clone, Debug)]
pub(crate) struct Fraction {
    pub(crate) numerator: BigInt,
    pub(crate) denominator: BigInt,
}

impl Fraction {
    pub(crate) fn new(numerator: impl Into<BigInt>, denominator: impl Into<BigInt>) -> Fraction {
        Fraction { numerator: numerator.into(), denominator: denominator.into() }
    }

    /// The number a finite double is.
    pub(crate) fn of_f64(value: f64) -> Fraction {
        assert!(value.is_finite());
        let mut mantissa = value.abs();
        let mut denominator = BigInt::from(1);
        // Up to an integer, exactly: doubling loses nothing, and below 2^53 an integer is reached after at most 1,074 steps.
        while mantissa.fract() != 0.0 {
            mantissa *= 2.0;
            denominator <<= 1;
        }
        let mut shift = 0;
        while mantissa >= 2f64.powi(64) {
            mantissa /= 2.0;
            shift += 1;
        }
        let magnitude: BigInt = BigInt::from(mantissa as u64) << shift;
        Fraction::new(if value < 0.0 { -magnitude } else { magnitude }, denominator)
    }

    /// A number of SQL's exact types, or a finite float.
    pub(crate) fn of(value: &Value) -> Fraction {
        match *value {
            Value::SmallInt(value) => Fraction::new(value, 1),
            Value::Integer(value) => Fraction::new(value, 1),
            Value::BigInt(value) => Fraction::new(value, 1),
            Value::Real(value) => Fraction::of_f64(f64::from(value)),
            Value::Double(value) => Fraction::of_f64(value),
            Value::Decimal { unscaled, scale, .. } => Fraction::new(unscaled, BigInt::from(10).pow(u32::from(scale))),
            _ => panic!("{value:?} is no number"),
        }
    }

    pub(crate) fn plus(&self, other: &Fraction) -> Fraction {
        if self.denominator == other.denominator {
            return Fraction::new(&self.numerator + &other.numerator, self.denominator.clone());
        }
        let numerator = &self.numerator * &other.denominator + &other.numerator * &self.denominator;
        Fraction::new(numerator, &self.denominator * &other.denominator)
    }

    pub(crate) fn times(&self, other: &Fraction) -> Fraction {
        Fraction::new(&self.numerator * &other.numerator, &self.denominator * &other.denominator)
    }

    pub(crate) fn over(&self, divisor: u64) -> Fraction {
        Fraction::new(self.numerator.clone(), &self.denominator * divisor)
    }

    pub(crate) fn minus(&self, other: &Fraction) -> Fraction {
        self.plus(&Fraction::new(-&other.numerator, other.denominator.clone()))
    }

    pub(crate) fn compare(&self, other: &Fraction) -> Ordering {
        (&self.numerator * &other.denominator).cmp(&(&other.numerator * &self.denominator))
    }

    /// True if the nearest double is an infinity: from halfway between the greatest double and 2^1024.
    pub(crate) fn overflows(&self) -> bool {
        let limit = (BigInt::from(1) << 1024) - (BigInt::from(1) << 970);
        let magnitude = BigInt::from_biguint(Sign::Plus, self.numerator.magnitude().clone());
        magnitude >= limit * &self.denominator
    }

    /// True if no double is nearer, and of two as near this is the one with an even last bit.
    pub(crate) fn is_nearest(&self, rounded: f64) -> bool {
        if !rounded.is_finite() {
            return false;
        }
        let even = rounded.to_bits() & 1 == 0;
        let halfway = |neighbour: f64| Fraction::of_f64(rounded).plus(&Fraction::of_f64(neighbour)).over(2);
        let (below, above) = (rounded.next_down(), rounded.next_up());
        let not_below = below.is_infinite() || {
            let order = self.compare(&halfway(below));
            order.is_gt() || (even && order.is_eq())
        };
        let not_above = above.is_infinite() || {
            let order = self.compare(&halfway(above));
            order.is_lt() || (even && order.is_eq())
        };
        not_below && not_above
    }
}

/// The SQL order of two values of one type, neither NULL.
pub(crate) fn sql_order(left: &Value, right: &Value) -> Ordering {
    let float = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).expect("numbers"),
        (a, b) => a.cmp(&b),
    };
    match (left, right) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::SmallInt(a), Value::SmallInt(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::BigInt(a), Value::BigInt(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::TimestampTz(a), Value::TimestampTz(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => float(f64::from(*a), f64::from(*b)),
        (Value::Double(a), Value::Double(b)) => float(*a, *b),
        (Value::Decimal { unscaled: a, .. }, Value::Decimal { unscaled: b, .. }) => a.cmp(b),
        (Value::Varchar(a), Value::Varchar(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.comparable_us().cmp(&b.comparable_us()),
        other => panic!("values of two types: {other:?}"),
    }
}

#[test]
fn the_reference_knows_nearest_doubles() {
    assert!(Fraction::new(1, 3).is_nearest(1.0 / 3.0));
    assert!(!Fraction::new(1, 3).is_nearest((1.0f64 / 3.0).next_up()));
    assert!(!Fraction::new(1, 3).is_nearest((1.0f64 / 3.0).next_down()));
    let tie = Fraction::new((1u64 << 53) + 1, 1);
    assert!(tie.is_nearest((1u64 << 53) as f64) && !tie.is_nearest(((1u64 << 53) + 2) as f64));
    assert!(Fraction::new(1, BigInt::from(1) << 1075).is_nearest(0.0));
    assert!(Fraction::of_f64(f64::MAX).is_nearest(f64::MAX) && !Fraction::of_f64(f64::MAX).overflows());
}
