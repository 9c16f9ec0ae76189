//! What a file sink has decided and where it stands: the content of its handles.
//!
//! Written as JSON with a version, so that it can be read by a person whose job does not come up.

use super::super::error::{SinkError, SinkErrorKind};
use super::super::{Format, SinkHandle};
use serde::{Deserialize, Serialize};

/// Version of what handles hold.
const VERSION: u32 = 1;

/// A part as far as it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its number.
    pub(super) number: u64,
    /// Its rows.
    pub(super) rows: u64,
    /// The bytes staged for it.
    pub(super) bytes: u64,
}

/// All that is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Number of parts started so far.
    pub(super) next: u64,
    /// The part in progress.
    pub(super) open: Option<Part>,
    /// Parts that are complete and, as far as is known, not published, in order.
    pub(super) complete: Vec<Part>,
}

/// A state as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    format: String,
    columns: String,
    next: u64,
    open: Option<Part>,
    complete: Vec<Part>,
}

#[derive(Deserialize)]
struct WrittenVersion {
    version: u32,
}

impl State {
    /// Parts with a lower number are complete.
    pub(super) fn complete_below(&self) -> u64 {
        self.open.map_or(self.next, |open| open.number)
    }

    /// The handle of a sink with this format and these columns.
    pub(super) fn encode(&self, format: Format, columns: &str) -> Result<SinkHandle, SinkError> {
        let State { next, open, complete } = self.clone();
        let (format, columns) = (format.extension().to_owned(), columns.to_owned());
        let written = Written { version: VERSION, format, columns, next, open, complete };
        let bytes = serde_json::to_vec(&written).map_err(|error| unreadable(format!("it can't be written: {error}")))?;
        Ok(SinkHandle::new(bytes))
    }

    /// Reads the handle of a sink that must have this format and these columns.
    pub(super) fn decode(handle: &SinkHandle, format: Format, columns: &str) -> Result<State, SinkError> {
        let damaged = |error: serde_json::Error| unreadable(format!("it is damaged: {error}"));
        let WrittenVersion { version } = serde_json::from_slice(handle.as_bytes()).map_err(damaged)?;
        if version != VERSION {
            return Err(unreadable(format!("it has version {version}, and this program reads version {VERSION}"))
                .hint("use the program that wrote it"));
        }
        let written: Written = serde_json::from_slice(handle.as_bytes()).map_err(damaged)?;
        let changed = |what: &str, before: &str, now: &str| {
            let message = format!("the {what} of the sink can't change while a part is in progress: it was {before} and is {now}");
            SinkError::new(SinkErrorKind::Changed, message).hint("change it back, or drop the sink and make one with another path")
        };
        if written.format != format.extension() {
            return Err(changed("format", &written.format, format.extension()));
        }
        if written.columns != columns {
            return Err(changed("columns", &written.columns, columns));
        }
        Ok(State { next: written.next, open: written.open, complete: written.complete })
    }
}

fn unreadable(reason: String) -> SinkError {
    SinkError::new(SinkErrorKind::Handle, format!("the checkpoint's record of the sink can't be used: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_what_does_not_fit_is_refused() {
        let part = |number| Part { number, rows: 2, bytes: 30 };
        let state = State { next: 4, open: Some(part(3)), complete: vec![part(1), part(2)] };
        let handle = state.encode(Format::Csv, "k Utf8").unwrap();
        assert_eq!(State::decode(&handle, Format::Csv, "k Utf8"), Ok(state));
        let refused = |handle: &SinkHandle, format, columns| State::decode(handle, format, columns).unwrap_err().kind;
        assert_eq!(refused(&handle, Format::JsonLines, "k Utf8"), SinkErrorKind::Changed);
        assert_eq!(refused(&handle, Format::Csv, "k Int64"), SinkErrorKind::Changed);
        let newer = SinkHandle::new(br#"{"version":2,"parts":[]}"#.to_vec());
        assert_eq!(refused(&newer, Format::Csv, "k Utf8"), SinkErrorKind::Handle);
        let torn = SinkHandle::new(handle.as_bytes()[..20].to_vec());
        assert_eq!(refused(&torn, Format::Csv, "k Utf8"), SinkErrorKind::Handle);
    }
}
