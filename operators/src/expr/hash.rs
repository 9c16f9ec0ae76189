//! MD5 and HASH.
//!
//! HASH is XXH64 with seed 0 over the bytes of its arguments one after the other: VARCHAR and BYTEA their bytes, BOOLEAN one byte, numbers
//! and times little-endian in their width, DECIMAL its digits in 16 bytes, INTERVAL what intervals are compared by in 16 bytes. Values
//! that are equal hash equally, so −0.0 counts as 0.0 and every NaN as one. NULL if any argument is. Nothing separates arguments:
//! HASH('ab', 'c') = HASH('a', 'bc').

use super::compare::comparable_nanos;
use super::vector::{Shape, Vector};
use arrow::array::{ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use md5::{Digest, Md5};
use raympp_types::DataType;
use xxhash_rust::xxh64::xxh64;

/// MD5 of VARCHAR or BYTEA as 32 hexadecimal digits.
pub(super) fn md5(operand: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(DataType::Varchar) };
    let bytea = *operand.array.data_type() == ArrowType::Binary;
    shape.strings(|row| {
        let digest = Md5::digest(if bytea { operand.bytes(row) } else { operand.text(row).as_bytes() });
        Some(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    })
}

/// HASH(…)
pub(super) fn hash(arguments: &[Vector]) -> Vector {
    let operands: Vec<&Vector> = arguments.iter().collect();
    let Some(shape) = Shape::of(&operands) else { return Vector::null(DataType::BigInt) };
    let mut bytes = Vec::new();
    let hashes = (0..shape.rows).map(|row| {
        bytes.clear();
        if shape.is_valid(row) {
            operands.iter().for_each(|operand| append(operand, row, &mut bytes));
        }
        xxh64(&bytes, 0) as i64
    });
    let hashes = hashes.collect();
    shape.primitive::<Int64Type>(hashes, DataType::BigInt)
}

fn append(operand: &Vector, row: usize, out: &mut Vec<u8>) {
    fn value<T: ArrowPrimitiveType>(operand: &Vector, row: usize) -> T::Native {
        operand.operand::<T>().get(row)
    }
    match operand.array.data_type() {
        ArrowType::Utf8 => out.extend_from_slice(operand.text(row).as_bytes()),
        ArrowType::Binary => out.extend_from_slice(operand.bytes(row)),
        ArrowType::Boolean => out.push(u8::from(operand.array.as_boolean().value(operand.index(row)))),
        ArrowType::Int16 => out.extend_from_slice(&value::<Int16Type>(operand, row).to_le_bytes()),
        ArrowType::Int32 => out.extend_from_slice(&value::<Int32Type>(operand, row).to_le_bytes()),
        ArrowType::Int64 => out.extend_from_slice(&value::<Int64Type>(operand, row).to_le_bytes()),
        ArrowType::Float32 => {
            let value = value::<Float32Type>(operand, row);
            out.extend_from_slice(&if value.is_nan() { f32::NAN } else { value + 0.0 }.to_le_bytes());
        }
        ArrowType::Float64 => {
            let value = value::<Float64Type>(operand, row);
            out.extend_from_slice(&if value.is_nan() { f64::NAN } else { value + 0.0 }.to_le_bytes());
        }
        ArrowType::Decimal128(_, _) => out.extend_from_slice(&value::<Decimal128Type>(operand, row).to_le_bytes()),
        ArrowType::Date32 => out.extend_from_slice(&value::<Date32Type>(operand, row).to_le_bytes()),
        ArrowType::Timestamp(_, _) => out.extend_from_slice(&value::<TimestampMicrosecondType>(operand, row).to_le_bytes()),
        ArrowType::Interval(_) => out.extend_from_slice(&comparable_nanos(value::<IntervalMonthDayNanoType>(operand, row)).to_le_bytes()),
        _ => {}
    }
}
