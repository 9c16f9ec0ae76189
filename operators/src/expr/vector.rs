//! Columns between nodes: an array, or one value that stands for all rows; and the loops that kernels share.
//!
//! A value for all rows comes from a literal, or from a constant that fails: whatever else is computed from literals alone was folded
//! when it was built. So a loop sees two literals only with one row.

use super::arrow_types::arrow_type;
use super::error::{Errors, EvaluationError};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Datum, PrimitiveArray, Scalar, StringArray, UInt32Array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use raympp_types::DataType;
use std::sync::Arc;

/// Rows whose value is needed; `None`: all.
pub(super) type Active<'a> = Option<&'a BooleanBuffer>;

/// One operand or result.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub(super) array: ArrayRef,
    /// The array has one row, which stands for all.
    pub(super) scalar: bool,
}

impl Datum for Vector {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.scalar)
    }
}

impl Vector {
    pub(super) fn rows(array: ArrayRef) -> Vector {
        Vector { array, scalar: false }
    }

    pub(super) fn one(array: ArrayRef) -> Vector {
        Vector { array, scalar: true }
    }

    pub(super) fn boolean(array: BooleanArray) -> Vector {
        Vector::rows(Arc::new(array))
    }

    pub(super) fn null(data_type: DataType) -> Vector {
        Vector::one(new_null_array(&arrow_type(data_type), 1))
    }

    /// As an array of `rows` rows.
    pub(super) fn into_array(self, rows: usize) -> ArrayRef {
        if !self.scalar || rows == 1 {
            return self.array;
        }
        let zeros = UInt32Array::from_value(0, rows);
        arrow::compute::take(self.array.as_ref(), &zeros, None).unwrap_or_else(|_| new_null_array(self.array.data_type(), rows))
    }

    /// As BOOLEANs of `rows` rows.
    pub(super) fn into_booleans(self, rows: usize) -> BooleanArray {
        self.into_array(rows).as_boolean().clone()
    }

    /// True if it is a NULL for all rows.
    pub(super) fn is_null_scalar(&self) -> bool {
        self.scalar && self.array.is_null(0)
    }

    pub(super) fn operand<T: ArrowPrimitiveType>(&self) -> Operand<'_, T::Native> {
        let values: &[T::Native] = self.array.as_primitive::<T>().values();
        if self.scalar { Operand::One(values[0]) } else { Operand::Rows(values) }
    }

    /// The row of the array that holds the value of `row`.
    pub(super) fn index(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    pub(super) fn text(&self, row: usize) -> &str {
        self.array.as_string::<i32>().value(self.index(row))
    }

    pub(super) fn bytes(&self, row: usize) -> &[u8] {
        self.array.as_binary::<i32>().value(self.index(row))
    }
}

/// The values of one operand of a loop.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a, T> {
    Rows(&'a [T]),
    One(T),
}

impl<T: Copy> Operand<'_, T> {
    pub(super) fn get(&self, row: usize) -> T {
        match self {
            Operand::Rows(values) => values[row],
            Operand::One(value) => *value,
        }
    }
}

/// `f` of each pair, as one loop without branches on what the operands are.
pub(super) fn map_pairs<A: Copy, B: Copy, O>(left: Operand<'_, A>, right: Operand<'_, B>, mut f: impl FnMut(A, B) -> O) -> Vec<O> {
    match (left, right) {
        (Operand::Rows(left), Operand::Rows(right)) => left.iter().zip(right).map(|(&a, &b)| f(a, b)).collect(),
        (Operand::Rows(left), Operand::One(b)) => left.iter().map(|&a| f(a, b)).collect(),
        (Operand::One(a), Operand::Rows(right)) => right.iter().map(|&b| f(a, b)).collect(),
        (Operand::One(a), Operand::One(b)) => vec![f(a, b)],
    }
}

/// `f` of each pair as bits.
pub(super) fn test_pairs<A: Copy, B: Copy>(left: Operand<'_, A>, right: Operand<'_, B>, f: impl Fn(A, B) -> bool) -> BooleanBuffer {
    match (left, right) {
        (Operand::Rows(left), Operand::Rows(right)) => {
            let rows = left.len().min(right.len());
            pack(rows, left.chunks(64).zip(right.chunks(64)), |(left, right), bytes| {
                bytes.iter_mut().zip(left.iter().zip(right)).for_each(|(byte, (&a, &b))| *byte = f(a, b).into());
            })
        }
        (Operand::Rows(left), Operand::One(b)) => pack(left.len(), left.chunks(64), |left, bytes| {
            bytes.iter_mut().zip(left).for_each(|(byte, &a)| *byte = f(a, b).into());
        }),
        (Operand::One(a), Operand::Rows(right)) => pack(right.len(), right.chunks(64), |right, bytes| {
            bytes.iter_mut().zip(right).for_each(|(byte, &b)| *byte = f(a, b).into());
        }),
        (Operand::One(a), Operand::One(b)) => BooleanBuffer::collect_bool(1, |_| f(a, b)),
    }
}

/// Bits of rows that come 64 at a time: `test` writes a byte of 0 or 1 per row, a loop that compilers turn into vector instructions, and
/// one multiplication gathers the lowest bits of eight bytes.
fn pack<C>(rows: usize, chunks: impl Iterator<Item = C>, test: impl Fn(C, &mut [u8; 64])) -> BooleanBuffer {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let words = chunks.map(|chunk| {
        let mut bytes = [0; 64];
        test(chunk, &mut bytes);
        let eights = bytes.as_chunks::<8>().0.iter().enumerate();
        eights.fold(0, |word, (i, eight)| word | ((u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (8 * i)))
    });
    BooleanBuffer::new(Buffer::from_vec(words.collect::<Vec<u64>>()), 0, rows)
}

/// The shape that the operands of a strict operation give its result: how many rows, which are NULL.
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) nulls: Option<NullBuffer>,
    pub(super) scalar: bool,
}

impl Shape {
    /// `None` if an operand is NULL for all rows, and so is the result.
    pub(super) fn of(operands: &[&Vector]) -> Option<Shape> {
        if operands.iter().any(|operand| operand.is_null_scalar()) {
            return None;
        }
        let columns = || operands.iter().filter(|operand| !operand.scalar);
        let rows = columns().next().map_or(1, |operand| operand.array.len());
        let nulls = columns().fold(None, |nulls: Option<NullBuffer>, operand| NullBuffer::union(nulls.as_ref(), operand.array.nulls()));
        Some(Shape { rows, nulls, scalar: operands.iter().all(|operand| operand.scalar) })
    }

    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    pub(super) fn vector(&self, array: ArrayRef) -> Vector {
        Vector { array, scalar: self.scalar }
    }

    pub(super) fn primitive<T: ArrowPrimitiveType>(self, values: Vec<T::Native>, data_type: DataType) -> Vector {
        let scalar = self.scalar;
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.nulls).with_data_type(arrow_type(data_type));
        Vector { array: Arc::new(array), scalar }
    }

    pub(super) fn booleans(self, values: BooleanBuffer) -> Vector {
        Vector { array: Arc::new(BooleanArray::new(values, self.nulls)), scalar: self.scalar }
    }

    /// VARCHAR, row by row; NULLs are not asked for, and `None` is one.
    pub(super) fn strings<S: AsRef<str>>(self, mut f: impl FnMut(usize) -> Option<S>) -> Vector {
        let values: StringArray = (0..self.rows).map(|row| if self.is_valid(row) { f(row) } else { None }).collect();
        self.vector(Arc::new(values))
    }

    /// BYTEA, row by row.
    pub(super) fn binaries<S: AsRef<[u8]>>(self, mut f: impl FnMut(usize) -> Option<S>) -> Vector {
        let values: BinaryArray = (0..self.rows).map(|row| if self.is_valid(row) { f(row) } else { None }).collect();
        self.vector(Arc::new(values))
    }
}

/// Where a kernel reports rows that fail.
pub(super) struct Sink<'a> {
    pub(super) active: Active<'a>,
    pub(super) errors: &'a mut Errors,
}

impl Sink<'_> {
    pub(super) fn is_active(&self, row: usize) -> bool {
        self.active.is_none_or(|active| active.value(row))
    }

    /// Marks one row if its value is needed.
    pub(super) fn fail(&mut self, row: usize, reason: impl FnOnce() -> EvaluationError) {
        if self.is_active(row) {
            self.errors.mark(row, reason);
        }
    }

    /// Looks at every row that is needed and not NULL.
    #[cold]
    fn find(&mut self, shape: &Shape, reason: impl Fn(usize) -> Option<EvaluationError>) {
        for row in 0..shape.rows {
            if shape.is_valid(row)
                && self.is_active(row)
                && let Some(reason) = reason(row)
            {
                self.errors.mark(row, || reason);
            }
        }
    }

    /// `f` over two columns. `f` gives a value and whether the row deserves a look; only if one does, `reason` says which rows failed,
    /// so that the loop over rows that succeed has no branch.
    pub(super) fn pairs<A: ArrowPrimitiveType, B: ArrowPrimitiveType, O: ArrowPrimitiveType>(
        &mut self,
        left: &Vector,
        right: &Vector,
        data_type: DataType,
        f: impl Fn(A::Native, B::Native) -> (O::Native, bool),
        reason: impl Fn(A::Native, B::Native) -> Option<EvaluationError>,
    ) -> Vector {
        let Some(shape) = Shape::of(&[left, right]) else { return Vector::null(data_type) };
        let (a, b) = (left.operand::<A>(), right.operand::<B>());
        let mut suspicious = false;
        let values = map_pairs(a, b, |a, b| {
            let (value, suspect) = f(a, b);
            suspicious |= suspect;
            value
        });
        if suspicious {
            self.find(&shape, |row| reason(a.get(row), b.get(row)));
        }
        shape.primitive::<O>(values, data_type)
    }

    /// As [`Sink::pairs`] for one column.
    pub(super) fn each<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
        &mut self,
        operand: &Vector,
        data_type: DataType,
        f: impl Fn(A::Native) -> (O::Native, bool),
        reason: impl Fn(A::Native) -> Option<EvaluationError>,
    ) -> Vector {
        let Some(shape) = Shape::of(&[operand]) else { return Vector::null(data_type) };
        let input: &[A::Native] = operand.array.as_primitive::<A>().values();
        let mut suspicious = false;
        let values = input
            .iter()
            .map(|&a| {
                let (value, suspect) = f(a);
                suspicious |= suspect;
                value
            })
            .collect();
        if suspicious {
            self.find(&shape, |row| reason(input[row]));
        }
        shape.primitive::<O>(values, data_type)
    }

    /// As [`Sink::pairs`], for an `f` that knows whether it failed.
    pub(super) fn try_pairs<A: ArrowPrimitiveType, B: ArrowPrimitiveType, O: ArrowPrimitiveType>(
        &mut self,
        left: &Vector,
        right: &Vector,
        data_type: DataType,
        f: impl Fn(A::Native, B::Native) -> Result<O::Native, EvaluationError>,
    ) -> Vector
    where
        O::Native: Default,
    {
        self.pairs::<A, B, O>(
            left,
            right,
            data_type,
            |a, b| f(a, b).map_or((O::Native::default(), true), |v| (v, false)),
            |a, b| f(a, b).err(),
        )
    }

    /// As [`Sink::each`], for an `f` that knows whether it failed.
    pub(super) fn try_each<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
        &mut self,
        operand: &Vector,
        data_type: DataType,
        f: impl Fn(A::Native) -> Result<O::Native, EvaluationError>,
    ) -> Vector
    where
        O::Native: Default,
    {
        self.each::<A, O>(operand, data_type, |a| f(a).map_or((O::Native::default(), true), |v| (v, false)), |a| f(a).err())
    }
}

/// `f` of each value, where nothing can fail.
pub(super) fn map_each<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    operand: &Vector,
    data_type: DataType,
    f: impl Fn(A::Native) -> O::Native,
) -> Vector {
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(data_type) };
    let values = operand.array.as_primitive::<A>().values().iter().map(|&a| f(a)).collect();
    shape.primitive::<O>(values, data_type)
}

/// `Scalar` for kernels that choose between two columns.
pub(super) fn datum(vector: &Vector) -> Box<dyn Datum + '_> {
    if vector.scalar { Box::new(Scalar::new(vector.array.clone())) } else { Box::new(vector.array.clone()) }
}
