//! What goes through the pipes: orders as a line of JSON, rows of Arrow's stream format behind it; what is told as lines of JSON.

use crate::in_process::{Job, Sessions};
use crate::target::{Counts, Results};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Error, ErrorKind, Write};

/// What the engine's process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Start an engine; the first order.
    Start {
        /// On what.
        job: Box<Job>,
        /// Who its producers are.
        sessions: Sessions,
    },
    /// Push rows.
    Rows {
        /// Whose.
        producer: usize,
        /// A piece of the producer's Arrow stream; on the wire it follows the line.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// Its length.
        length: usize,
    },
    /// Let the primary of a partition panic.
    Panic(u32),
    /// End the input and wait for everything.
    Finish,
}

/// What the engine's process tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The engine runs; by producer, who it is, and the first row that the engine does not have.
    Open(Vec<(String, u64)>),
    /// So many rows of a producer are visible.
    Visible(usize, u64),
    /// Results have reached the subscriber.
    Results(Results),
    /// So much has happened in this process.
    Counts(Counts),
    /// The primary of a partition has panicked, as it was to.
    Panicked(u32),
    /// Everything has come out.
    Finished,
    /// It goes on no longer.
    Failed(String),
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}

/// Writes an order as a whole.
pub(super) fn write_order(to: &mut impl Write, order: &Order) -> std::io::Result<()> {
    let mut message = serde_json::to_vec(order).map_err(other)?;
    message.push(b'\n');
    if let Order::Rows { bytes, .. } = order {
        message.extend_from_slice(bytes);
    }
    to.write_all(&message)?;
    to.flush()
}

/// The next order; `None` at the end.
pub(super) fn read_order(from: &mut impl BufRead) -> std::io::Result<Option<Order>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut order: Order = serde_json::from_str(&line).map_err(other)?;
    if let Order::Rows { bytes, length, .. } = &mut order {
        bytes.resize(*length, 0);
        from.read_exact(bytes)?;
    }
    Ok(Some(order))
}

/// Writes something that is told, which is on its way once `to` is flushed.
pub(super) fn write_told(to: &mut impl Write, told: &Told) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, told).map_err(other)?;
    to.write_all(b"\n")
}

/// Hands on what is told until `take` answers false or nothing more comes. A line that is cut off, as by a kill, is none.
pub(super) fn read_told(from: impl BufRead, mut take: impl FnMut(Told) -> bool) {
    let told = from.lines().map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok());
    for one in told {
        if !take(one) {
            break;
        }
    }
}

/// One producer's rows as an Arrow stream, in which a dictionary travels once.
#[derive(Default)]
pub(super) struct Encoder(Option<StreamWriter<Vec<u8>>>);

impl Encoder {
    /// The piece of the stream that has these rows; none may be left out.
    pub(super) fn encode(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => none.insert(StreamWriter::try_new(Vec::new(), &rows.schema())?),
        };
        writer.write(rows)?;
        Ok(std::mem::take(writer.get_mut()))
    }
}

/// The other end of an [`Encoder`].
#[derive(Default)]
pub(super) struct Decoder(StreamDecoder);

impl Decoder {
    /// The rows of a piece.
    pub(super) fn decode(&mut self, bytes: Vec<u8>) -> Result<Vec<RecordBatch>, ArrowError> {
        let (mut buffer, mut batches) = (Buffer::from_vec(bytes), Vec::new());
        while !buffer.is_empty() {
            batches.extend(self.0.decode(&mut buffer)?);
        }
        Ok(batches)
    }
}
