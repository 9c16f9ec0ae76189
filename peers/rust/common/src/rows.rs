//! The rows, as columns in memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Args, Error};

/// A pass of the rows is as many of these long as there are rows: so event time goes on from pass to pass as it does within one.
const ROW_US: i64 = 1;

/// The columns, each as long as the others.
pub struct Rows {
    /// Channel, from 0 up.
    pub channel: Vec<i32>,
    /// Status: 0 is success.
    pub status: Vec<i8>,
    /// Amount; the query leaves out those that are not positive.
    pub amount: Vec<i64>,
    /// Event time in microseconds since 1970.
    pub event_time: Vec<i64>,
}

impl Rows {
    pub(crate) fn load(args: &Args) -> Result<Self, Error> {
        Ok(Self {
            channel: column(&args.input.join("channel.i32"), args.rows, i32::from_le_bytes)?,
            status: column(&args.input.join("status.i8"), args.rows, i8::from_le_bytes)?,
            amount: column(&args.input.join("amount.i64"), args.rows, i64::from_le_bytes)?,
            event_time: column(&args.input.join("event_time.i64"), args.rows, i64::from_le_bytes)?,
        })
    }

    /// The first so many rows.
    #[must_use]
    pub fn first(&self, rows: usize) -> Self {
        let (channel, status) = (self.channel[..rows].to_vec(), self.status[..rows].to_vec());
        Self { channel, status, amount: self.amount[..rows].to_vec(), event_time: self.event_time[..rows].to_vec() }
    }

    /// What is added to all event times in each pass.
    pub fn shifts_us(&self, passes: usize) -> impl Iterator<Item = i64> + use<> {
        let pass_us = self.len() as i64 * ROW_US;
        (0..passes as i64).map(move |pass| pass * pass_us)
    }

    /// How many rows there are in a pass.
    #[must_use]
    pub fn len(&self) -> usize {
        self.event_time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.event_time.is_empty()
    }
}

fn column<T, const N: usize>(path: &Path, rows: usize, decode: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
    let about = |error| Error::Failed(format!("{}: {error}", path.display()));
    let mut bytes = Vec::with_capacity(rows * N);
    File::open(path).map_err(about)?.take((rows * N) as u64).read_to_end(&mut bytes).map_err(about)?;
    if bytes.len() < rows * N {
        return Err(Error::Failed(format!("{} has fewer than {rows} rows", path.display())));
    }
    Ok(bytes.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_begins_where_the_one_before_ends() {
        let rows = Rows { channel: vec![0; 3], status: vec![0; 3], amount: vec![1; 3], event_time: vec![10, 11, 12] };
        assert_eq!(rows.shifts_us(3).map(|shift_us| rows.event_time[0] + shift_us).collect::<Vec<_>>(), [10, 13, 16]);
    }
}
