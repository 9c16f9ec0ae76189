//! What archives hold, and the way there and back.
//!
//! The archived types are apart from those that the program works with, so that these may change and the former never do: a change of what is
//! archived is a new format version beside this one, and golden files of each version stay readable for ever. Whatever an archive says is
//! checked before it becomes a value of the program: lengths that must agree, order, kinds of cells. A type's name ends with the version that brought it.

mod cells;
mod commits;
mod ints;
mod keys;
mod packs;
mod records;
mod states;
mod version1;

pub(super) use commits::CommitV1;
pub(super) use packs::{EntryV1, PackIndexV1};
pub(super) use records::{IndexV1, PartV2, parts_of};
pub(super) use states::StateV1;
pub(super) use version1::PartV1;
