//! An engine in a process of its own, which can be killed, stopped, and started again on what it has kept.
//!
//! The process is this program once more, with the hidden command `engine`, around the [`crate::in_process`] target. Its standard input brings the job, then
//! rows as Arrow streams, one per producer; its standard output tells what has become of them, a line of JSON each. Neither side waits for the other in the
//! thread that keeps the time: a thread writes what is pushed, one reads what is told, and rows that do not fit in between are [`Push::Full`]. Other orders
//! are few and always fit: a stopped process takes nothing, and the thread that could wait for it is the one that is to continue it.
//!
//! The process is in a group of its own, so that Ctrl-C reaches the load generator alone.

mod engine;
mod wire;

pub use engine::serve;

use crate::chaos::Fault;
use crate::error::{Error, Result};
use crate::in_process::{Job, Sessions, nothing_waits};
use crate::target::{Counts, Push, Results, Target};
use arrow::array::RecordBatch;
use crossbeam::channel::{Receiver, Sender, TryRecvError, unbounded};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::io::BufReader;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child as Process, Command as Program, ExitStatus, Stdio};
use wire::{Encoder, Order, Told, write_order};

/// Orders that may be on their way when rows are added to them.
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
    /// Partitions whose primaries are to panic, and which it has not said to have.
    asked: Vec<u32>,
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
        let mut command = Program::new(program);
        let mut process = command.arg("engine").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let (mut input, output) = match (process.stdin.take(), process.stdout.take()) {
            (Some(input), Some(output)) => (input, BufReader::new(output)),
            _ => return Err(Error::Usage("a process without pipes".to_owned())),
        };
        let (orders, to_write) = unbounded::<Order>();
        let (tell, told) = unbounded();
        // Both threads end when the process does: the pipes break.
        std::thread::spawn(move || to_write.into_iter().try_for_each(|order| write_order(&mut input, &order)));
        std::thread::spawn(move || wire::read_told(output, |one| tell.send(one).is_ok()));
        let producers = job.options.producers.max(1);
        let encoders = (0..producers).map(|_| Encoder::default()).collect();
        let running = Running { process, orders, told, encoders, is_open: false };
        running.order(Order::Start { job: Box::new(job.clone()), sessions: sessions.clone() });
        Ok(running)
    }

    /// Gives an order, without waiting. A process that is gone shows when it is listened to.
    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

/// How a process has ended.
fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
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
            asked: Vec::new(),
            is_finished: false,
        };
        while !child.running.is_open {
            child.hear()?;
        }
        Ok(child)
    }

    /// Waits for what is told next.
    fn hear(&mut self) -> Result<()> {
        match self.running.told.recv() {
            Ok(told) => self.take(told),
            Err(_) => Err(self.gone()),
        }
    }

    /// What became of a process that takes no orders or tells nothing more.
    fn gone(&mut self) -> Error {
        // Without orders it ends, if it has not.
        self.running.orders = unbounded().0;
        while let Ok(told) = self.running.told.recv() {
            if let Err(error) = self.take(told) {
                return error;
            }
        }
        self.running.process.wait().map_or_else(|error| Error::Child(error.to_string()), |status| Error::Ended(ending(status)))
    }

    /// Takes in what has been told.
    fn listen(&mut self) -> Result<()> {
        loop {
            match self.running.told.try_recv() {
                Ok(told) => self.take(told)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(self.gone()),
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
            Told::Panicked(partition) => {
                if let Some(place) = self.asked.iter().position(|asked| *asked == partition) {
                    self.asked.swap_remove(place);
                }
            }
            Told::Finished => self.is_finished = true,
            Told::Failed(message) => return Err(Error::Child(message)),
        }
        Ok(())
    }

    /// Ends the process at once and starts it again. Panics that it was asked for and has not told of are asked for again.
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
        self.asked.iter().for_each(|partition| self.running.order(Order::Panic(*partition)));
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
        if !goes_on || self.running.orders.len() >= WAITING_MAX {
            return Ok(Push::Full);
        }
        let encoded = self.running.encoders[producer].encode(rows);
        let bytes = encoded.map_err(|error| Error::Usage(format!("rows that can't be sent: {error}")))?;
        match self.running.orders.send(Order::Rows { producer, length: bytes.len(), bytes }) {
            Ok(()) => Ok(Push::Taken),
            Err(_) => Err(self.gone()),
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
            Fault::Panic(partition) => {
                self.asked.push(partition);
                self.running.order(Order::Panic(partition));
                Ok(())
            }
        }
    }

    fn resumed(&mut self) -> Result<Option<Vec<u64>>> {
        self.listen()?;
        Ok(self.resumed.take())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.running.order(Order::Finish);
        while !self.is_finished {
            self.hear()?;
        }
        let failed = |error| Error::File { path: self.program.clone(), error };
        self.running.process.wait().map_err(failed)?;
        nothing_waits(&self.asked)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has ended, unless something went wrong.
        let _ = (self.running.process.kill(), self.running.process.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_said() {
        assert_eq!([9, 256].map(|raw| ending(ExitStatus::from_raw(raw))), ["signal 9", "exit code 1"]);
    }
}
