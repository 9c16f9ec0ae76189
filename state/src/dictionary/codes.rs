//! Keys as codes: small numbers that stand for keys, and what is known of them.
//!
//! Codes belong to a set: a dictionary that comes with rows and is shared from batch to batch, or a span of integers. While a code was used in the generation
//! at hand, what is known of it is right; and for as long as a key is kept at least, the local id is. After that, whoever uses the code looks its key up
//! again, so keys can be retired without looking for their codes.

use super::KeptRoute;
use super::integers::Span;
use crate::keys::NO_ID;
use arrow::array::{Array, ArrayRef};
use std::borrow::Cow;
use std::sync::Arc;

/// Keys of rows as codes of a set; all codes are below its length.
pub(crate) struct Codes<'a> {
    pub(crate) set: CodeSet,
    pub(crate) of_rows: Cow<'a, [u32]>,
}

/// What codes are codes of.
#[derive(Clone)]
pub(crate) enum CodeSet {
    /// The values of a dictionary without NULLs.
    Dictionary(ArrayRef),
    /// The integers of a span.
    Integers(Span),
}

impl CodeSet {
    pub(crate) fn len(&self) -> usize {
        match self {
            CodeSet::Dictionary(values) => values.len(),
            CodeSet::Integers(span) => span.len(),
        }
    }

    pub(crate) fn is_same(&self, other: &CodeSet) -> bool {
        match (self, other) {
            (CodeSet::Dictionary(one), CodeSet::Dictionary(other)) => Arc::ptr_eq(one, other),
            (CodeSet::Integers(one), CodeSet::Integers(other)) => one == other,
            _ => false,
        }
    }
}

/// What is known of a code. It may say less than is known of its key.
#[derive(Clone, Copy)]
pub(super) struct KnownCode {
    pub(super) id: u32,
    pub(super) route: KeptRoute,
}

impl KnownCode {
    pub(super) const UNKNOWN: KnownCode = KnownCode { id: NO_ID, route: KeptRoute::UNKNOWN };

    /// The local id, if its key can't have been retired since.
    pub(super) fn id(self, generation: u16) -> Option<u32> {
        self.route.is_kept(generation).then_some(self.id)
    }
}

/// What is known of a dictionary's codes.
pub(super) struct CodeCache {
    pub(super) dictionary: ArrayRef,
    pub(super) known: Vec<KnownCode>,
    /// Of rows without a value.
    pub(super) null: KnownCode,
}

impl CodeCache {
    pub(super) fn new(dictionary: &ArrayRef) -> CodeCache {
        CodeCache { dictionary: Arc::clone(dictionary), known: vec![KnownCode::UNKNOWN; dictionary.len()], null: KnownCode::UNKNOWN }
    }
}
