//! The order-independent hash of the result rows.

/// Counts result rows and sums up their hashes, so that neither their order nor the thread that found them matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes.
    pub hash: u64,
}

impl Results {
    /// Adds a result row.
    #[inline]
    pub fn add(&mut self, window_end_us: i64, channel: i32, payments: i64, successes: i64, volume: i64) {
        let mut hash = mix(window_end_us as u64);
        for value in [i64::from(channel), payments, successes, volume] {
            hash = mix(hash ^ value as u64);
        }
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash);
    }

    /// Adds what another thread found.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

/// A bijection that spreads every bit over the whole word: the finalizer of SplitMix64.
#[inline]
#[must_use]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_thread_do_not_matter() {
        let (mut one, mut two, mut all) = (Results::default(), Results::default(), Results::default());
        one.add(1, 2, 3, 4, 5);
        two.add(5, 4, 3, 2, 1);
        all.add(5, 4, 3, 2, 1);
        all.add(1, 2, 3, 4, 5);
        one.merge(&two);
        assert_eq!(one, all);
    }
}
