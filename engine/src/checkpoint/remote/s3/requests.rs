//! The thread that carries requests to an object store, for threads that wait.
//!
//! The client is asynchronous, its callers are not, and may well be on a thread of somebody's async runtime, where another one can neither be entered nor
//! dropped. So the runtime lives on a thread of its own, and a call waits for its answer on a channel. Between calls the thread sleeps. It ends with
//! the value.

use crate::checkpoint::lower_priority;
use crossbeam::channel::bounded;
use std::io;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};

/// See the module.
pub(super) struct Requests {
    runtime: Handle,
    /// True once calls are to end.
    stopped: watch::Sender<bool>,
    /// The thread ends when it is dropped.
    open: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Requests {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Requests> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel();
        let thread = std::thread::Builder::new().name("raympp-s3".into()).spawn(move || drive(runtime, closed))?;
        Ok(Requests { runtime: handle, stopped: watch::Sender::new(false), open: Some(open), thread: Some(thread) })
    }

    /// Waits until a request has been carried out. `None`: calls are to end.
    pub(super) fn call<T: Send + 'static>(&self, request: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (tell, answer) = bounded(1);
        let mut stopped = self.stopped.subscribe();
        self.runtime.spawn(async move {
            let outcome = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => None,
                outcome = request => Some(outcome),
            };
            // The caller waits for it.
            let _ = tell.send(outcome);
        });
        answer.recv().ok().flatten()
    }

    /// Ends calls that are under way; later ones end at once.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        drop(self.open.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of requests has panicked; this is a bug of the engine");
        }
    }
}

fn drive(runtime: Runtime, closed: oneshot::Receiver<()>) {
    // Requests are made for threads that are as nice.
    lower_priority("requests");
    // The sender says nothing, it only goes away.
    let _ = runtime.block_on(closed);
    // A name that is being looked up may take long; nobody waits for it any more.
    runtime.shutdown_background();
}
