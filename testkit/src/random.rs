//! Chance from a seed: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). The same numbers on
//! every machine and for ever, so a seed in a failure's message is all it takes to see it again.

/// A sequence of numbers that looks random.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A position below `end`, which is not 0.
    pub fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1) as u128;
        let step = (u128::from(self.bits()) * span) >> 64;
        (i128::from(low) + step as i128) as i64
    }

    /// True once in `times` on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_sequence_never_changes() {
        let mut random = Random::new(1);
        assert_eq!([random.bits(), random.bits()], [10_451_216_379_200_822_465, 13_757_245_211_066_428_519]);
    }

    #[test]
    fn numbers_stay_in_range_and_reach_its_ends() {
        let mut random = Random::new(7);
        let numbers: Vec<i64> = (0..1000).map(|_| random.between(-3, 3)).collect();
        assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&-3), Some(&3)));
        assert_eq!(Random::new(9).between(i64::MIN, i64::MAX), Random::new(9).between(i64::MIN, i64::MAX));
    }
}
