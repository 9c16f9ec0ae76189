//! An engine in a process of its own, which can be killed, stopped, and started again on what it has kept.
//!
//! The process is this program once more, with the hidden command `engine`, around the [`crate::in_process`] target. Its standard input brings the job, then
//! rows as Arrow streams, one per producer; its standard output tells what has become of them, a line of JSON each. Neither side waits for the other in the
//! thread that keeps the time: a thread writes what is pushed, one reads what is told, and what does not fit in between is [`Push::Full`].

mod engine;
mod wire;

pub use engine::serve;

use crate::chaos::Fault;
use crate::error::{Error, Result};
use crate::in_process::{Job, Sessions};
use crate::target::{Counts, Push, Results, Target};
use arrow::array::RecordBatch;
use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child as Process, Command as Program, Stdio};
use wire::{Encoder, Order, Told, write_order};

/// Hand-overs that may be on their way.
const WAITING_MAX: usize = 256;

/// See the module.
pub struct Child {
    program: PathBuf,
    job: Job,
    sessions: Sessions,
    running: Running,
    visible: Vec<u64>,
    results: VecDeque<Results>,
    counts: Counts,
    /// What had happened in the runs before this one.
    counts_before: Counts,
    /// It has said where it goes on, and nobody has asked yet.
    resumed: Option<Vec<u64>>,
    is_finished: bool,
}

/// A process and the threads that talk to it.
struct Running {
    process: Process,
    orders: Sender<Order>,
    told: Receiver<Told>,
    encoders: Vec<Encoder>,
    /// It has said who its producers are.
    is_open: bool,
}

impl Running {
    fn start(program: &PathBuf, job: &Job, sessions: &Sessions) -> Result<Running> {
        let failed = |error: std::io::Error| Error::File { path: program.clone(), error };
        let mut process = Program::new(program).arg("engine").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let (mut input, output) = match (process.stdin.take(), process.stdout.take()) {
            (Some(input), Some(output)) => (input, BufReader::new(output)),
            _ => return Err(Error::Usage("a process without pipes".to_owned())),
        };
        let (orders, to_write) = bounded::<Order>(WAITING_MAX);
        let (tell, told) = unbounded();
        // Both threads end when the process does: the pipes break.
        std::thread::spawn(move || to_write.into_iter().try_for_each(|order| write_order(&mut input, &order)));
        std::thread::spawn(move || wire::read_told(output, |one| tell.send(one).is_ok()));
        let producers = job.options.producers.max(1);
        let first = Order::Start { job: Box::new(job.clone()), sessions: sessions.clone() };
        orders.send(first).map_err(|_| gone())?;
        Ok(Running { process, orders, told, encoders: (0..producers).map(|_| Encoder::default()).collect(), is_open: false })
    }
}

fn gone() -> Error {
    Error::Usage("the engine's process has ended".to_owned())
}

impl Child {
    /// Starts `program`, which is this one, on a job, and waits until its engine runs.
    ///
    /// # Errors
    /// If it can't be started, or what its engine says.
    pub fn start(program: PathBuf, job: Job) -> Result<Child> {
        let sessions = Sessions::default();
        let running = Running::start(&program, &job, &sessions)?;
        let visible = vec![0; running.encoders.len()];
        let mut child = Child {
            program,
            job,
            sessions,
            running,
            visible,
            results: VecDeque::new(),
            counts: Counts::default(),
            counts_before: Counts::default(),
            resumed: None,
            is_finished: false,
        };
        while !child.running.is_open {
            let told = child.running.told.recv().map_err(|_| gone())?;
            child.take(told)?;
        }
        Ok(child)
    }

    /// Takes in what has been told.
    fn listen(&mut self) -> Result<()> {
        loop {
            match self.running.told.try_recv() {
                Ok(told) => self.take(told)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(gone()),
            }
        }
    }

    fn take(&mut self, told: Told) -> Result<()> {
        match told {
            Told::Open(producers) => {
                self.running.is_open = true;
                if self.sessions.earlier > 0 {
                    self.resumed = Some(producers.iter().map(|(_, next)| *next).collect());
                }
                self.sessions.producers = producers.into_iter().map(|(id, _)| id).collect();
            }
            Told::Visible(producer, rows) => self.visible[producer] = rows,
            Told::Results(results) => self.results.push_back(results),
            Told::Counts(counts) => self.counts = self.counts_before + counts,
            Told::Finished => self.is_finished = true,
            Told::Failed(message) => return Err(Error::Child(message)),
        }
        Ok(())
    }

    /// Ends the process at once and starts it again.
    fn kill(&mut self) -> Result<()> {
        let failed = |error| Error::File { path: self.program.clone(), error };
        self.running.process.kill().map_err(failed)?;
        self.running.process.wait().map_err(failed)?;
        // What it had told until then counts.
        while let Ok(told) = self.running.told.recv() {
            self.take(told)?;
        }
        self.resumed = None;
        self.sessions.earlier += 1;
        self.counts_before = self.counts;
        self.running = Running::start(&self.program, &self.job, &self.sessions)?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let failed = |error: rustix::io::Errno| Error::File { path: self.program.clone(), error: error.into() };
        kill_process(Pid::from_child(&self.running.process), signal).map_err(failed)
    }
}

impl Target for Child {
    fn producers(&self) -> usize {
        self.visible.len()
    }

    fn push(&mut self, producer: usize, rows: &RecordBatch) -> Result<Push> {
        self.listen()?;
        let goes_on = self.running.is_open && self.resumed.is_none();
        // One thread gives orders, so there is room for one that fits now.
        if !goes_on || self.running.orders.len() >= WAITING_MAX {
            return Ok(Push::Full);
        }
        let encoded = self.running.encoders[producer].encode(rows);
        let bytes = encoded.map_err(|error| Error::Usage(format!("rows that can't be sent: {error}")))?;
        match self.running.orders.try_send(Order::Rows { producer, length: bytes.len(), bytes }) {
            Ok(()) => Ok(Push::Taken),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(gone()),
        }
    }

    fn visible(&mut self, producer: usize) -> Result<u64> {
        self.listen()?;
        Ok(self.visible[producer])
    }

    fn results(&mut self) -> Result<Option<Results>> {
        Ok(self.results.pop_front())
    }

    fn counts(&mut self) -> Counts {
        self.counts
    }

    fn inject(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill => self.kill(),
            Fault::Stop => self.signal(Signal::STOP),
            Fault::Continue => self.signal(Signal::CONT),
            Fault::Panic(partition) => self.running.orders.send(Order::Panic(partition)).map_err(|_| gone()),
        }
    }

    fn resumed(&mut self) -> Result<Option<Vec<u64>>> {
        self.listen()?;
        Ok(self.resumed.take())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.running.orders.send(Order::Finish).map_err(|_| gone())?;
        while !self.is_finished {
            let told = self.running.told.recv().map_err(|_| gone())?;
            self.take(told)?;
        }
        let failed = |error| Error::File { path: self.program.clone(), error };
        self.running.process.wait().map_err(failed).map(drop)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has ended, unless something went wrong.
        let _ = (self.running.process.kill(), self.running.process.wait());
    }
}
