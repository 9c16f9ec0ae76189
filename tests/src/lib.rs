//! What whole-system tests share. The tests themselves are in `tests/`, those in Python in `python/`.

pub mod fuzz;
