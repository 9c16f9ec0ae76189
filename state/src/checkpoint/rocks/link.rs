//! Whose checkpoints a directory holds, once it has had to do with a place outside of it.
//!
//! A line in a file of ours: the job's number, this directory's, and whether what is in it is being copied from outside; then nothing in it counts.

use super::directory::Directory;
use crate::checkpoint::error::StoreError;
use crate::checkpoint::packed::JobId;

const FILE: &str = "JOB";
const JOB: &str = "job ";
const WRITER: &str = " of writer ";
const IMPORTING: &str = " being copied";

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which job.
    pub job: JobId,
    /// This directory, among all that have gone on with the job.
    pub writer: u64,
    /// Its checkpoint is being copied from outside: it is not known to be whole.
    pub importing: bool,
}

pub(super) fn read(directory: &Directory) -> Result<Option<Link>, StoreError> {
    let Some(line) = directory.read_line(FILE)? else { return Ok(None) };
    let damaged = || StoreError::damaged(directory.path().join(FILE).display(), "it does not name a job");
    parse(&line).map(Some).ok_or_else(damaged)
}

fn parse(line: &str) -> Option<Link> {
    let (job, rest) = line.strip_prefix(JOB)?.split_once(WRITER)?;
    let (writer, importing) = rest.strip_suffix(IMPORTING).map_or((rest, false), |writer| (writer, true));
    Some(Link { job: job.parse().ok()?, writer: u64::from_str_radix(writer, 16).ok()?, importing })
}

/// On disk when the call returns.
pub(super) fn write(directory: &Directory, link: Link) -> Result<(), StoreError> {
    let Link { job, writer, importing } = link;
    directory.write_line(FILE, &format!("{JOB}{job}{WRITER}{writer:016x}{}", if importing { IMPORTING } else { "" }), true)
}
