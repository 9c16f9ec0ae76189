//! From a function to its kernel.

use super::node::Function;
use super::vector::{Sink, Vector};
use super::{hash, math, string, temporal, truncate};
use raympp_types::DataType;

/// The value of a call; `rows` is the length of the batch.
pub(super) fn call(function: Function, arguments: &[Vector], result: DataType, rows: usize, sink: &mut Sink<'_>) -> Vector {
    match (function, arguments) {
        (Function::ConcatOperator, [left, right]) => string::concat_operator(left, right),
        (Function::Concat, _) => string::concat(arguments, rows),
        (Function::Lower, [text]) => string::map(text, str::to_lowercase),
        (Function::Upper, [text]) => string::map(text, str::to_uppercase),
        (Function::TrimBoth, _) => string::trim(arguments, true, true),
        (Function::TrimStart, _) => string::trim(arguments, true, false),
        (Function::TrimEnd, _) => string::trim(arguments, false, true),
        (Function::Substring, _) => string::substring(arguments, sink),
        (Function::Left, [text, count]) => string::left(text, count),
        (Function::Right, [text, count]) => string::right(text, count),
        (Function::Length, [text]) => string::length(text),
        (Function::Replace, [text, from, to]) => string::replace(text, from, to),
        (Function::SplitPart, [text, delimiter, field]) => string::split_part(text, delimiter, field, sink),
        (Function::StartsWith, [text, prefix]) => string::starts_with(text, prefix),
        (Function::Md5, [operand]) => hash::md5(operand),
        (Function::Hash, _) => hash::hash(arguments),
        (Function::DateTrunc(field), [operand]) => truncate::truncate(field, operand, result, sink),
        (Function::Extract(field), [operand]) => temporal::extract(field, operand),
        _ => math::call(function, arguments, result, sink),
    }
}
