//! The rows, as columns in memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Args, Error};

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

    /// How many rows there are.
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
