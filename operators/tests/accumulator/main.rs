//! Aggregates and their accumulators: calls and types, algebraic laws, results against exact references, error bounds of sketches,
//! golden bytes. The reference formulas are here and nowhere in the product.

mod calls;
mod golden;
mod harness;
mod laws;
mod reference;
mod results;
mod sketches;
mod special;
