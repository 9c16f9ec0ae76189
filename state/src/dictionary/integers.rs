//! Integer keys that lie close together, as codes of the span that they lie in.
//!
//! A value less the lowest one of the span is its code, so a row costs a subtraction instead of a hash. The span follows the values: where they leave it, it
//! is moved, or doubled if it would not hold those in use, and it begins anew around a batch if that were too much for the keys that there are.
//! Once in a generation it is looked whether those in use lie so close together by now that the span may be shorter. Values that lie too far apart have no codes.
//!
//! Cost: a pass over the values while they stay in the span, another one when they do not; moving and looking take as long as the span is, so they are paid for
//! by rows before.
//! Memory: a dozen bytes per integer of the span, which keys in use bound.

use super::NEVER;
use super::codes::KnownCode;
use arrow::array::{ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{ArrowNativeType, DataType as ArrowType, Int16Type, Int32Type, Int64Type};
use raympp_types::DataType;

/// A span may have so many integers, however few keys there are.
const LEN_SMALL: u64 = 1 << 16;
/// And so many for each key, before its length is rounded up to a power of two.
const LEN_PER_KEY: u64 = 4;
/// And never more than these.
const LEN_MAX: u64 = 1 << 22;
/// A span is shortened if those in use lie in less than one part of so many.
const LEN_PER_USED: u64 = 4;
/// Rows pay for moving a span that is so many times as long as they are many.
const LEN_PER_ROW: u64 = 4;

/// The values of a column of integers; any where it is NULL.
#[derive(Clone, Copy)]
pub(super) enum Integers<'a> {
    SmallInt(&'a [i16]),
    Integer(&'a [i32]),
    BigInt(&'a [i64]),
}

impl<'a> Integers<'a> {
    pub(super) fn of(column: &'a ArrayRef) -> Option<Integers<'a>> {
        match column.data_type() {
            ArrowType::Int16 => Some(Integers::SmallInt(column.as_primitive::<Int16Type>().values())),
            ArrowType::Int32 => Some(Integers::Integer(column.as_primitive::<Int32Type>().values())),
            ArrowType::Int64 => Some(Integers::BigInt(column.as_primitive::<Int64Type>().values())),
            _ => None,
        }
    }

    pub(super) fn get(self, row: usize) -> i64 {
        match self {
            Integers::SmallInt(values) => values[row].into(),
            Integers::Integer(values) => values[row].into(),
            Integers::BigInt(values) => values[row],
        }
    }

    fn len(self) -> usize {
        match self {
            Integers::SmallInt(values) => values.len(),
            Integers::Integer(values) => values.len(),
            Integers::BigInt(values) => values.len(),
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Integers::SmallInt(_) => DataType::SmallInt,
            Integers::Integer(_) => DataType::Integer,
            Integers::BigInt(_) => DataType::BigInt,
        }
    }

    /// The highest value of the type.
    fn highest_of_type(self) -> i64 {
        match self {
            Integers::SmallInt(_) => i16::MAX.into(),
            Integers::Integer(_) => i32::MAX.into(),
            Integers::BigInt(_) => i64::MAX,
        }
    }

    /// The code of each value, any for those that are not active; `None` if an active one lies outside of the span.
    fn codes(self, active: Option<&BooleanBuffer>, span: Span) -> Option<Vec<u32>> {
        match self {
            Integers::SmallInt(values) => codes(values, active, span),
            Integers::Integer(values) => codes(values, active, span),
            Integers::BigInt(values) => codes(values, active, span),
        }
    }

    /// Lowest and highest active value; `None` if there is none.
    fn bounds(self, active: Option<&BooleanBuffer>) -> Option<(i64, i64)> {
        match self {
            Integers::SmallInt(values) => bounds(values, active),
            Integers::Integer(values) => bounds(values, active),
            Integers::BigInt(values) => bounds(values, active),
        }
    }
}

fn codes<T: ArrowNativeType + Into<i64>>(values: &[T], active: Option<&BooleanBuffer>, span: Span) -> Option<Vec<u32>> {
    let distance = |value: T| value.into().wrapping_sub(span.base) as u64;
    // Rows that are not active mostly lie in the span too, and a pass that does not look which they are is several times as fast.
    codes_of(values.iter().map(|&value| distance(value)), span).or_else(|| {
        let bits = active?.iter();
        codes_of(values.iter().zip(bits).map(|(&value, is_active)| if is_active { distance(value) } else { 0 }), span)
    })
}

/// Distances from where the span begins, as codes; `None` if one lies beyond its end.
fn codes_of(distances: impl Iterator<Item = u64>, span: Span) -> Option<Vec<u32>> {
    // The span's length is a power of two, so the bits of all codes together tell whether one is beyond.
    let mut all = 0;
    let code = |distance: u64| {
        all |= distance;
        distance as u32
    };
    let codes = distances.map(code).collect();
    (all >> span.bits == 0).then_some(codes)
}

fn bounds<T: ArrowNativeType + Into<i64>>(values: &[T], active: Option<&BooleanBuffer>) -> Option<(i64, i64)> {
    let (low, high) = match active {
        None => bounds_of(values.iter().copied()),
        Some(active) => bounds_of(active.set_indices().map(|row| values[row])),
    }?;
    Some((low.into(), high.into()))
}

fn bounds_of<T: Copy + PartialOrd>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.next()?;
    let wider = |(low, high), value: T| (if value < low { value } else { low }, if value > high { value } else { high });
    Some(values.fold((first, first), wider))
}

/// `1 << bits` integers from `base` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    base: i64,
    bits: u32,
}

impl Span {
    /// From `base` on, as far as that is possible within the values' type.
    fn from(base: i64, bits: u32, values: Integers<'_>) -> Span {
        let (highest, room) = (values.highest_of_type(), (1i64 << bits) - 1);
        Span { base: base.clamp(-1 - highest, highest - room), bits }
    }

    pub(crate) fn len(self) -> usize {
        1 << self.bits
    }

    pub(super) fn value(self, code: u32) -> i64 {
        self.base + i64::from(code)
    }

    /// The code of a value of another span's code; `None` if it is outside.
    #[inline]
    pub(super) fn code_of(self, other: Span, code: u32) -> Option<usize> {
        let at = other.value(code).wrapping_sub(self.base) as u64;
        (at >> self.bits == 0).then_some(at as usize)
    }
}

/// What is known of the integers of a span.
pub(super) struct IntegerSpan {
    pub(super) span: Span,
    pub(super) data_type: DataType,
    /// By code.
    pub(super) known: Vec<KnownCode>,
    /// Since it was moved.
    rows: u64,
    /// Since it was looked at for those in use, and the generation of that look.
    rows_unseen: u64,
    seen_in: u16,
}

impl IntegerSpan {
    /// For the values of a column, of which it holds none yet.
    pub(super) fn new(values: Integers<'_>) -> IntegerSpan {
        let span = Span { base: 0, bits: 0 };
        let known = vec![KnownCode::UNKNOWN];
        IntegerSpan { span, data_type: values.data_type(), known, rows: u64::MAX, rows_unseen: 0, seen_in: NEVER }
    }

    /// The code of each value, any for those that are not active, if the active ones lie close enough together; `keys` are there. The span becomes what it
    /// has to be.
    pub(super) fn codes(&mut self, values: Integers<'_>, active: Option<&BooleanBuffer>, keys: usize, generation: u16) -> Option<Vec<u32>> {
        let rows = values.len() as u64;
        self.rows = self.rows.saturating_add(rows);
        self.rows_unseen = self.rows_unseen.saturating_add(rows);
        if generation != self.seen_in && self.rows_unseen >= self.known.len() as u64 / LEN_PER_ROW {
            self.shorten(values, generation);
        }
        let codes = values.codes(active, self.span);
        if codes.is_some() || self.rows < self.known.len() as u64 / LEN_PER_ROW {
            return codes;
        }
        let Some(span) = self.around(values, active, len_max(keys), generation) else {
            self.rows = 0;
            if self.in_use(generation).is_none() {
                *self = IntegerSpan { rows: 0, ..IntegerSpan::new(values) };
            }
            return None;
        };
        self.become_span(span);
        values.codes(active, span)
    }

    /// Makes a span that is far longer than those in use need as long as they do.
    fn shorten(&mut self, values: Integers<'_>, generation: u16) {
        (self.rows_unseen, self.seen_in) = (0, generation);
        let Some((first, last)) = self.in_use(generation) else {
            *self = IntegerSpan { seen_in: generation, ..IntegerSpan::new(values) };
            return;
        };
        let len = last.wrapping_sub(first) as u64;
        if len < self.known.len() as u64 / LEN_PER_USED {
            self.become_span(Span::from(first, bits_of(len), values));
        }
    }

    /// A span that holds these values, and those in use if that is not too much.
    fn around(&self, values: Integers<'_>, active: Option<&BooleanBuffer>, len_max: u64, generation: u16) -> Option<Span> {
        let len = |low: i64, high: i64| high.wrapping_sub(low) as u64;
        let (low, high) = values.bounds(active)?;
        if len(low, high) >= len_max {
            return None;
        }
        let both = self.in_use(generation).map(|(first, last)| (low.min(first), high.max(last)));
        let (first, last) = both.filter(|&(first, last)| len(first, last) < len_max).unwrap_or((low, high));
        let needed = bits_of(len(first, last));
        let bits = self.span.bits.clamp(needed, needed + 1);
        let room = (1i64 << bits) - 1;
        // What is left of the span lies where the values are going.
        let base = if low < self.span.base && last > low { last.saturating_sub(room) } else { first };
        Some(Span::from(base, bits, values))
    }

    /// Lowest and highest value that is known to be used.
    fn in_use(&self, generation: u16) -> Option<(i64, i64)> {
        let is_used = |known: &KnownCode| known.id(generation).is_some();
        let first = self.known.iter().position(is_used)?;
        let last = self.known.iter().rposition(is_used)?;
        Some((self.span.value(first as u32), self.span.value(last as u32)))
    }

    /// Keeps what is known of integers that both spans have.
    fn become_span(&mut self, span: Span) {
        let before = std::mem::replace(&mut self.span, span);
        let moved = span.base.saturating_sub(before.base);
        let (dropped, skipped) = (moved.max(0) as usize, moved.saturating_neg().max(0) as usize);
        let kept = before.len().saturating_sub(dropped).min(span.len().saturating_sub(skipped));
        self.known.resize(before.len().max(span.len()), KnownCode::UNKNOWN);
        if kept > 0 {
            self.known.copy_within(dropped..dropped + kept, skipped);
        }
        let skipped = if kept > 0 { skipped } else { 0 };
        self.known[..skipped].fill(KnownCode::UNKNOWN);
        self.known[skipped + kept..].fill(KnownCode::UNKNOWN);
        self.known.truncate(span.len());
        if self.known.capacity() > 4 * span.len() {
            self.known.shrink_to_fit();
        }
        self.rows = 0;
    }
}

/// Bits that a distance takes.
fn bits_of(distance: u64) -> u32 {
    u64::BITS - distance.leading_zeros()
}

/// How long a span may be.
fn len_max(keys: usize) -> u64 {
    (keys as u64).saturating_mul(LEN_PER_KEY).clamp(LEN_SMALL, LEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::KeptRoute;
    use super::*;
    use arrow::array::{Array, Int16Array, Int32Array, Int64Array};
    use raympp_testkit::random::Random;
    use std::sync::Arc;

    /// Finds codes of the values, checks that they stand for them and what is known of them, notes that they are used in the generation, and returns the
    /// span's length.
    fn check(span: &mut Option<IntegerSpan>, column: ArrayRef, keys: usize, generation: u16) -> Option<usize> {
        let values = Integers::of(&column).expect("a column of integers");
        let span = span.get_or_insert_with(|| IntegerSpan::new(values));
        // Whatever was there before pays for a move.
        span.rows = u64::MAX / 2;
        let codes = span.codes(values, None, keys, generation)?;
        assert_eq!((codes.len(), span.known.len()), (column.len(), span.span.len()));
        for (row, &code) in codes.iter().enumerate() {
            let value = values.get(row);
            assert_eq!(span.span.value(code), value);
            span.known[code as usize] =
                KnownCode { id: value as u32, route: KeptRoute { partition: 0, used_in: generation, wire: value as u32 } };
        }
        for (code, known) in span.known.iter().enumerate().filter(|(_, known)| known.id(generation).is_some()) {
            assert_eq!(known.id, span.span.value(code as u32) as u32);
        }
        Some(span.known.len())
    }

    fn big(values: impl IntoIterator<Item = i64>) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(values))
    }

    #[test]
    fn a_span_is_moved_or_doubled_where_values_leave_it() {
        let mut span = None;
        assert_eq!(check(&mut span, big([3, 90, 7]), 0, 1), Some(128));
        assert_eq!(check(&mut span, big([130, 3]), 0, 1), Some(128));
        assert_eq!(check(&mut span, big([131]), 0, 1), Some(256));
        assert_eq!(check(&mut span, big([258, 3]), 0, 1), Some(256));
        assert_eq!(check(&mut span, big([2]), 0, 1), Some(512));
        assert_eq!(check(&mut span, big([258 - 511, 258]), 0, 1), Some(512), "what was left lies below");
        assert_eq!(check(&mut span, big([]), 0, 1), Some(512));
        assert_eq!(check(&mut span, big([300, 700]), 0, 9), Some(512), "the others are not used any more");
        assert_eq!(check(&mut span, big([302, 303]), 0, 20), Some(512));
        assert_eq!(check(&mut span, big([900, 901]), 0, 40), Some(4), "a long span for few values is given up");
    }

    #[test]
    fn a_span_is_no_longer_than_keys_are_worth() {
        let mut span = None;
        assert_eq!(check(&mut span, big([0, 65_535]), 0, 1), Some(65_536));
        assert_eq!(check(&mut span, big([65_536]), 0, 1), Some(2), "the old values would be too far away");
        assert_eq!(check(&mut span, big([0, 65_536]), 16_384, 1), None);
        assert_eq!(check(&mut span, big([0, 65_536]), 16_385, 1), Some(131_072));
        assert_eq!(check(&mut span, big([0, 1 << 22]), usize::MAX, 1), None);
        assert_eq!(check(&mut span, big([0, (1 << 22) - 1]), usize::MAX, 1), Some(1 << 22));
        assert_eq!(check(&mut span, big([i64::MIN, i64::MAX]), usize::MAX, 1), None);
    }

    #[test]
    fn spans_lie_within_their_type() {
        let small = |values: &[i16]| -> ArrayRef { Arc::new(Int16Array::from(values.to_vec())) };
        let mut span = None;
        assert_eq!(check(&mut span, small(&[32_765, 32_767]), 0, 1), Some(4));
        assert_eq!(check(&mut span, small(&[-32_768, 32_767]), 0, 1), Some(65_536));
        let integer = |values: &[i32]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
        assert_eq!(check(&mut None, integer(&[i32::MIN, i32::MIN + 2]), 0, 1), Some(4));
        assert_eq!(check(&mut None, integer(&[i32::MAX]), 0, 1), Some(1));
        let mut span = None;
        assert_eq!(check(&mut span, big([i64::MAX - 2, i64::MAX]), 0, 1), Some(4));
        assert_eq!(check(&mut span, big([i64::MIN, i64::MIN + 4]), 0, 1), Some(8));
        assert_eq!(check(&mut span, big([i64::MIN + 8, i64::MIN]), 0, 1), Some(16));
        assert_eq!(check(&mut span, big([i64::MAX - 1]), 0, 1), Some(2));
    }

    #[test]
    fn moving_is_paid_for_by_rows() {
        let mut span = None;
        assert_eq!(check(&mut span, big(0..1024), 0, 1), Some(1024));
        let span = span.as_mut().expect("just made");
        span.rows = 0;
        let next = big(5_000..5_100);
        let codes = |span: &mut IntegerSpan| span.codes(Integers::of(&next).expect("integers"), None, 0, 1).map(|codes| codes.len());
        assert_eq!([codes(span), codes(span), codes(span)], [None, None, Some(100)]);
        let scattered = big([0, 1 << 30]);
        let look = |span: &mut IntegerSpan, rows: u64, generation: u16| {
            span.rows = rows;
            assert_eq!(span.codes(Integers::of(&scattered).expect("integers"), None, 0, generation), None);
            (span.rows, span.known.len())
        };
        assert_eq!([look(span, 100, 1), look(span, 8_192, 1)], [(102, 8_192), (0, 8_192)], "looking at all of it is paid for, too");
        assert_eq!([look(span, 0, 9), look(span, 8_192, 9)], [(2, 8_192), (0, 1)], "nothing in it is used any more");
    }

    #[test]
    fn a_span_gets_shorter_with_those_in_use() {
        let mut span = None;
        assert_eq!(check(&mut span, big(0..60_000), 0, 1), Some(65_536));
        let look = |span: &mut Option<IntegerSpan>, values: [i64; 2], rows: u64, generation: u16| {
            span.as_mut().expect("just made").rows_unseen = rows;
            check(span, big(values), 0, generation)
        };
        assert_eq!(look(&mut span, [40_000, 40_999], 1 << 16, 1), Some(65_536), "it has been looked at in this generation");
        assert_eq!(look(&mut span, [40_000, 40_999], 1 << 16, 6), Some(65_536), "all of them are in use");
        assert_eq!(look(&mut span, [40_000, 40_999], 100, 7), Some(65_536), "a look is paid for by rows");
        assert_eq!(look(&mut span, [40_000, 40_999], 1 << 16, 7), Some(1_024));
        assert_eq!(look(&mut span, [40_000, 40_999], 1 << 16, 8), Some(1_024));
        assert_eq!(look(&mut span, [40_999, 41_000], 1 << 16, 9), Some(1_024));
        assert_eq!(look(&mut span, [40_999, 41_000], 1 << 16, 20), Some(2), "nobody uses the others any more");
        let mut span = None;
        assert_eq!(check(&mut span, big(i64::MAX - 1_000..=i64::MAX), 0, 1), Some(1_024));
        assert_eq!(look(&mut span, [i64::MAX - 3, i64::MAX], 1 << 16, 2), Some(1_024));
        assert_eq!(look(&mut span, [i64::MAX - 3, i64::MAX], 1 << 16, 7), Some(4));
    }

    #[test]
    fn what_is_known_stays_with_its_integer() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (mut span, mut at) = (None, 0i64);
            for round in 0..40 {
                at += random.index(2_000) as i64 - 700;
                let most = [3, 500, 5_000][random.index(3)];
                let width = 1 + random.index(most);
                let values: Vec<i64> = (0..random.index(50)).map(|_| at + random.index(width) as i64).collect();
                let is_empty = values.is_empty();
                let found = check(&mut span, big(values), random.index(50_000), 1 + round / 3);
                assert!(found.is_some() || is_empty, "seed {seed}, round {round}");
            }
        }
    }
}
