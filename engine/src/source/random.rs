//! Random numbers by position: number n of a sequence is a function of the seed and n, so generators can start anywhere.
//!
//! The function is the output step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Number `position` of the sequence `seed`.
#[inline(always)]
pub(super) fn at(seed: u64, position: u64) -> u64 {
    let mut z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(GOLDEN));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound` (at least 1), from the high bits of `random`.
#[inline(always)]
pub(super) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// A number in [0, 1).
pub(super) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// A short run of numbers, for rows that need several.
pub(super) struct Sequence {
    seed: u64,
    position: u64,
}

impl Sequence {
    /// The run that belongs to `position` of the sequence `seed`.
    pub(super) fn new(seed: u64, position: u64) -> Sequence {
        Sequence { seed: at(seed, position), position: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.position += 1;
        at(self.seed, self.position)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        below(self.next(), bound)
    }
}

/// Draws from a distribution over `0..n` in one step (Walker's alias method, built as Vose does).
pub(super) struct AliasTable {
    /// Per column: keep it if the random 32 bits are at most this, else take the alias.
    columns: Vec<(u32, u32)>,
}

impl AliasTable {
    /// Zipf over `n` ranks (at least 1): rank k, from 0, has weight (k+1)^-exponent.
    pub(super) fn zipf(n: usize, exponent: f64) -> AliasTable {
        let weights: Vec<f64> = (1..=n).map(|rank| (rank as f64).powf(-exponent)).collect();
        let mean = weights.iter().sum::<f64>() / n as f64;
        let mut heights: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = (0..n as u32).partition(|&column| heights[column as usize] < 1.0);
        let mut columns: Vec<(u32, u32)> = (0..n as u32).map(|column| (u32::MAX, column)).collect();
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            columns[low as usize] = ((heights[low as usize] * f64::from(u32::MAX)) as u32, high);
            heights[high as usize] -= 1.0 - heights[low as usize];
            if heights[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        AliasTable { columns }
    }

    /// The rank a random number draws.
    #[inline(always)]
    pub(super) fn draw(&self, random: u64) -> u32 {
        let column = below(random & !0xFFFF_FFFF, self.columns.len() as u64) as u32;
        let (keep, alias) = self.columns[column as usize];
        if random as u32 <= keep { column } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_by_weight() {
        let table = AliasTable::zipf(4, 1.0);
        let mut counts = [0.0; 4];
        (0..1_000_000).for_each(|i| counts[table.draw(at(7, i)) as usize] += 1.0);
        for (rank, count) in counts.iter().enumerate() {
            let expected = 1_000_000.0 / (rank + 1) as f64 / (1.0 + 0.5 + 1.0 / 3.0 + 0.25);
            assert!((count - expected).abs() < 3_000.0, "rank {rank}: {count} of {expected}");
        }
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX, 1), 0);
    }
}
