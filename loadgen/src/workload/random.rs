//! Random numbers by position: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).

/// The random number of a sequence at a position.
pub(super) fn at(seed: u64, position: u64) -> u64 {
    let mut z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of `0..bound`, by multiplication (Lemire: Fast random integer generation in an interval, 2019).
pub(super) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}
