//! HyperLogLog: the number of different values to about 1 %, in at most 16 KiB.
//!
//! Flajolet, Fusy, Gandouet, Meunier, *HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm* (2007), with 2^14
//! registers (standard error 1.04/√2^14 = 0.81 %) and hashes of 64 bits: XXH64, seed 0, of a value's key code. The estimate is the
//! *improved raw estimator* of Ertl, *New cardinality estimation algorithms for HyperLogLog sketches* (2017, arXiv:1702.01284,
//! algorithm 6), which is unbiased over the whole range without tables. It needs +, ·, / and √ only, all of which IEEE 754 rounds
//! correctly, so every machine computes the same bits.
//!
//! Registers are maxima, hence a function of the set of values. Up to `SPARSE_MAX` = 2,048 of them that are not zero are kept as a sorted
//! list, more as an array: the form too is a function of the set.

use super::super::bytes::{DecodeError, Reader, put_varint};
use xxhash_rust::xxh64::xxh64;

const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash that count zeros; a register is at most one more.
const RANK_BITS: u32 = 64 - INDEX_BITS;
const RANK_MAX: u8 = RANK_BITS as u8 + 1;
/// Most registers of the sparse form; it then takes half of the dense one's memory.
const SPARSE_MAX: usize = REGISTERS / 8;
/// 1 / (2 ln 2), the limit of the bias correction.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hll {
    registers: Registers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Registers {
    /// (index, rank) by ascending index.
    Sparse(Vec<(u16, u8)>),
    /// Rank by index.
    Dense(Box<[u8]>),
}

impl Default for Hll {
    fn default() -> Hll {
        Hll { registers: Registers::Sparse(Vec::new()) }
    }
}

impl Hll {
    /// Adds a value by its key code.
    #[inline]
    pub fn add(&mut self, code: &[u8]) {
        self.add_hash(xxh64(code, 0));
    }

    /// Adds a value by its hash: the first 14 bits choose the register, the zeros at the start of the rest, plus one, are its rank.
    #[inline]
    pub fn add_hash(&mut self, hash: u64) {
        let index = (hash >> RANK_BITS) as u16;
        let rank = (hash << INDEX_BITS).leading_zeros().min(RANK_BITS) as u8 + 1;
        self.raise(index, rank);
    }

    #[inline]
    fn raise(&mut self, index: u16, rank: u8) {
        match &mut self.registers {
            Registers::Dense(ranks) => {
                let register = &mut ranks[usize::from(index)];
                *register = rank.max(*register);
            }
            Registers::Sparse(entries) => match entries.binary_search_by_key(&index, |&(index, _)| index) {
                Ok(at) => entries[at].1 = rank.max(entries[at].1),
                Err(at) => {
                    entries.insert(at, (index, rank));
                    self.densify_if_full();
                }
            },
        }
    }

    fn densify_if_full(&mut self) {
        if let Registers::Sparse(entries) = &self.registers
            && entries.len() > SPARSE_MAX
        {
            let mut ranks = vec![0; REGISTERS].into_boxed_slice();
            for &(index, rank) in entries {
                ranks[usize::from(index)] = rank;
            }
            self.registers = Registers::Dense(ranks);
        }
    }

    fn for_each(&self, mut each: impl FnMut(u16, u8)) {
        match &self.registers {
            Registers::Sparse(entries) => entries.iter().for_each(|&(index, rank)| each(index, rank)),
            Registers::Dense(ranks) => ranks.iter().zip(0..).filter(|(rank, _)| **rank > 0).for_each(|(&rank, index)| each(index, rank)),
        }
    }

    pub(super) fn merge(&mut self, other: &Hll) {
        if let (Registers::Sparse(entries), Registers::Sparse(others)) = (&mut self.registers, &other.registers) {
            *entries = merge_sparse(entries, others);
            return self.densify_if_full();
        }
        if let (Registers::Sparse(_), Registers::Dense(_)) = (&self.registers, &other.registers) {
            let sparse = std::mem::replace(self, other.clone());
            return self.merge(&sparse);
        }
        other.for_each(|index, rank| self.raise(index, rank));
    }

    /// Estimate of the number of different values.
    pub fn estimate(&self) -> u64 {
        let mut counts = [0u32; RANK_MAX as usize + 1];
        let mut zeros = REGISTERS as u32;
        self.for_each(|_, rank| {
            counts[usize::from(rank)] += 1;
            zeros -= 1;
        });
        let registers = REGISTERS as f64;
        let mut sum = registers * tau(1.0 - f64::from(counts[usize::from(RANK_MAX)]) / registers);
        for rank in (1..=RANK_BITS as usize).rev() {
            sum = 0.5 * (sum + f64::from(counts[rank]));
        }
        sum += registers * sigma(f64::from(zeros) / registers);
        (ALPHA * registers * registers / sum).round() as u64
    }

    pub(super) fn is_identity(&self) -> bool {
        matches!(&self.registers, Registers::Sparse(entries) if entries.is_empty())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match &self.registers {
            Registers::Sparse(entries) => entries.capacity() * size_of::<(u16, u8)>(),
            Registers::Dense(ranks) => ranks.len(),
        }
    }

    /// The number of registers that are not zero, in LEB128. Up to `SPARSE_MAX` = 2,048: each as 2 bytes of index, low byte first, and 1 of
    /// rank, by ascending index. More: all registers by index, 6 bits each, four of them in 3 bytes, low bits first.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut used = 0;
        self.for_each(|_, _| used += 1);
        put_varint(out, used);
        match &self.registers {
            Registers::Sparse(entries) => {
                for (index, rank) in entries {
                    out.extend_from_slice(&index.to_le_bytes());
                    out.push(*rank);
                }
            }
            Registers::Dense(ranks) => {
                for four in ranks.chunks_exact(4) {
                    let packed = four.iter().rev().fold(0u32, |packed, &rank| (packed << 6) | u32::from(rank));
                    out.extend_from_slice(&packed.to_le_bytes()[..3]);
                }
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Hll, DecodeError> {
        let used = reader.varint()?;
        let registers = if used <= SPARSE_MAX as u64 { decode_sparse(reader, used)? } else { decode_dense(reader, used)? };
        Ok(Hll { registers })
    }
}

fn merge_sparse(left: &[(u16, u8)], right: &[(u16, u8)]) -> Vec<(u16, u8)> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(&(a, rank)), Some(&(b, other))) if a == b => {
                left.next();
                right.next();
                Some((a, rank.max(other)))
            }
            (Some(a), Some(b)) if a.0 > b.0 => right.next(),
            (None, _) => right.next(),
            _ => left.next(),
        };
        match next {
            Some(entry) => merged.push(entry),
            None => return merged,
        }
    }
}

fn decode_sparse(reader: &mut Reader, used: u64) -> Result<Registers, DecodeError> {
    let mut entries: Vec<(u16, u8)> = Vec::with_capacity(used as usize);
    for _ in 0..used {
        let (index, rank) = (u16::from_le_bytes(reader.array()?), reader.byte()?);
        let ascends = entries.last().is_none_or(|last| last.0 < index);
        if !ascends || usize::from(index) >= REGISTERS || !(1..=RANK_MAX).contains(&rank) {
            return Err(DecodeError::Invalid("registers out of order or range"));
        }
        entries.push((index, rank));
    }
    Ok(Registers::Sparse(entries))
}

fn decode_dense(reader: &mut Reader, used: u64) -> Result<Registers, DecodeError> {
    let mut ranks = Vec::with_capacity(REGISTERS);
    for _ in 0..REGISTERS / 4 {
        let [a, b, c] = reader.array()?;
        let packed = u32::from_le_bytes([a, b, c, 0]);
        ranks.extend((0..4).map(|i| (packed >> (6 * i)) as u8 & 0x3F));
    }
    let in_range = ranks.iter().all(|&rank| rank <= RANK_MAX);
    if !in_range || ranks.iter().filter(|&&rank| rank > 0).count() as u64 != used {
        return Err(DecodeError::Invalid("registers out of range or miscounted"));
    }
    Ok(Registers::Dense(ranks.into_boxed_slice()))
}

/// x + Σ x^(2^k) · 2^(k−1) over k ≥ 1: the part of registers that are zero. Infinite at 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let previous = sum;
        sum += x * power;
        power += power;
        if sum == previous {
            return sum;
        }
    }
}

/// (1 − x − Σ (1 − x^(2^−k))² · 2^−k over k ≥ 1) / 3: the part of registers that are full.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let previous = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
        if sum == previous {
            return sum / 3.0;
        }
    }
}
