//! The thread that copies checkpoints to a place outside, and what the persister's thread knows of it.
//!
//! With such a place an epoch is published when it is durable there: what the state directory has committed waits. One checkpoint is copied at a time,
//! the newest when the thread is free; it stands for those before it. Meanwhile the job goes on, and commits in the state directory.
//!
//! The thread reads archives through the persister's, whose store it is, a few mebibytes at a time. After a failure it waits a little, longer each
//! time, before it takes the newest checkpoint again; nothing is published until one has been copied.

use super::remote::Remote;
use super::{Order, Orders, lower_priority};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use raympp_coordinator::StreamEpoch;
use raympp_state::checkpoint::packed::{ArchiveSource, Blobs, Contents, Uploaded, Uploader};
use raympp_state::checkpoint::place::ArchiveKey;
use raympp_state::checkpoint::{StoreError, StoreErrorKind};
use raympp_types::Epoch;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it waits after the first failure in a row, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What an upload came to.
pub(crate) type Outcome = std::result::Result<Uploaded, StoreError>;

/// Archives that the thread wants to read.
pub(crate) struct Wanted {
    pub(super) keys: Vec<ArchiveKey>,
    pub(super) reply: Sender<std::result::Result<Vec<Vec<u8>>, StoreError>>,
}

/// What the thread is to do.
enum Task {
    Copy(Box<Contents>),
    Stop,
}

/// The thread, as its owner holds it.
pub(super) struct UploadThread {
    tasks: Sender<Task>,
    blobs: Arc<dyn Blobs>,
    thread: JoinHandle<()>,
}

impl UploadThread {
    /// Starts the thread. It tells the persister's thread what it has done, and asks it for archives.
    pub(super) fn start(remote: Remote, orders: Orders) -> io::Result<UploadThread> {
        // One task at a time, and the word to stop.
        let (tasks, taken) = bounded(2);
        let Remote { blobs, uploader } = remote;
        let worker = Worker { uploader, taken, orders, pause: PAUSE_FIRST };
        let thread = std::thread::Builder::new().name("raympp-uploader".into()).spawn(move || worker.run())?;
        Ok(UploadThread { tasks, blobs, thread })
    }

    /// What is published when, for the persister's thread.
    pub(super) fn queue(&self) -> UploadQueue {
        UploadQueue { tasks: self.tasks.clone(), copying: None, waiting: None }
    }

    /// Ends the thread; what is being copied is cut off. The persister's thread must be there until it has ended.
    pub(super) fn stop(self) {
        self.blobs.stop();
        // It has ended if it can't be told.
        let _ = self.tasks.send(Task::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the uploader's thread has panicked; this is a bug of the engine");
        }
    }
}

struct Worker {
    uploader: Uploader,
    taken: Receiver<Task>,
    orders: Orders,
    pause: Duration,
}

impl Worker {
    fn run(mut self) {
        lower_priority("uploader");
        while let Ok(Task::Copy(contents)) = self.taken.recv() {
            let outcome = self.uploader.upload(&contents, &mut Archives(&self.orders));
            if self.pause_after(&outcome) || !self.orders.tell(Order::Uploaded(contents.epoch, Box::new(outcome))) {
                return;
            }
        }
    }

    /// Waits after a failure. True if it was told to stop.
    fn pause_after(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Err(error) if error.kind != StoreErrorKind::Taken => {
                let pause = self.pause;
                self.pause = (pause * 2).min(PAUSE_MAX);
                !matches!(self.taken.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
            }
            _ => {
                self.pause = PAUSE_FIRST;
                false
            }
        }
    }
}

/// The persister's store, from the uploader's thread.
struct Archives<'a>(&'a Orders);

impl ArchiveSource for Archives<'_> {
    fn read(&mut self, keys: &[ArchiveKey]) -> std::result::Result<Vec<Vec<u8>>, StoreError> {
        let gone = || StoreError::new(StoreErrorKind::Io, "the state directory", "the job ends", "start it again");
        let (reply, answer) = bounded(1);
        if !self.0.tell(Order::ReadArchives(Wanted { keys: keys.to_vec(), reply })) {
            return Err(gone());
        }
        answer.recv().map_err(|_| gone())?
    }
}

/// An epoch that is committed in the state directory, and the streams that it and those it stands for had part in.
pub(super) struct Waiting {
    pub(super) epoch: Epoch,
    streams: BTreeMap<raympp_types::StreamId, StreamEpoch>,
}

impl Waiting {
    /// The streams of the epoch and of those it stands for, each as it is in the last of them.
    pub(super) fn streams(&self) -> Arc<[StreamEpoch]> {
        self.streams.values().copied().collect()
    }

    /// A later one stands for both.
    fn before(mut self, later: Waiting) -> Waiting {
        self.streams.extend(later.streams);
        Waiting { epoch: later.epoch, streams: self.streams }
    }
}

/// What is being copied and what comes next.
pub(super) struct UploadQueue {
    tasks: Sender<Task>,
    copying: Option<Waiting>,
    waiting: Option<Waiting>,
}

impl UploadQueue {
    /// An epoch is committed in the state directory.
    pub(super) fn add(&mut self, epoch: Epoch, streams: &[StreamEpoch]) {
        let new = Waiting { epoch, streams: streams.iter().map(|stream| (stream.stream, *stream)).collect() };
        self.waiting = Some(match self.waiting.take() {
            Some(waiting) => waiting.before(new),
            None => new,
        });
    }

    /// The epoch to be copied now, if the thread is free and there is one.
    pub(super) fn next(&self) -> Option<Epoch> {
        if self.copying.is_some() { None } else { self.waiting.as_ref().map(|waiting| waiting.epoch) }
    }

    /// The next epoch is copied.
    pub(super) fn start(&mut self, contents: Contents) {
        self.copying = self.waiting.take();
        // It ends only when the job does.
        let _ = self.tasks.send(Task::Copy(Box::new(contents)));
    }

    /// What was being copied is there; the one that can be published.
    pub(super) fn finish(&mut self) -> Option<Waiting> {
        self.copying.take()
    }

    /// What was being copied is not there; the next one stands for it.
    pub(super) fn put_back(&mut self) {
        self.waiting = match (self.copying.take(), self.waiting.take()) {
            (Some(copying), Some(waiting)) => Some(copying.before(waiting)),
            (copying, waiting) => copying.or(waiting),
        };
    }
}
