//! The other end of the pipes: the process that the engine is in.

use super::wire::{Decoder, Order, Told, read_order, write_told};
use crate::chaos::Fault;
use crate::error::{Error, Result};
use crate::in_process::InProcess;
use crate::target::{Counts, Push, Target};
use arrow::array::RecordBatch;
use crossbeam::channel::{Receiver, TryRecvError, bounded};
use std::collections::VecDeque;
use std::io::{BufReader, BufWriter, Stdout, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Orders that may have been read and not carried out.
const WAITING_MAX: usize = 64;
/// How long it sleeps when there is nothing to do and nothing to tell.
const PAUSE: Duration = Duration::from_micros(50);
/// From one look at the counts to the next.
const LOOK: Duration = Duration::from_millis(10);

/// Carries out the orders that come through standard input until they end, and tells through standard output what becomes of them.
///
/// # Errors
/// What the engine says; it has been told too.
pub fn serve() -> Result<()> {
    let (give, orders) = bounded(WAITING_MAX);
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Ok(Some(order)) = read_order(&mut input) {
            if give.send(order).is_err() {
                break;
            }
        }
    });
    let mut tell = Teller(BufWriter::new(std::io::stdout()));
    let outcome = serve_orders(&orders, &mut tell);
    if let Err(error) = &outcome {
        tell.tell(&Told::Failed(error.to_string()))?;
    }
    outcome
}

/// Standard output.
struct Teller(BufWriter<Stdout>);

impl Teller {
    fn add(&mut self, told: &Told) -> Result<()> {
        write_told(&mut self.0, told).map_err(broken)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(broken)
    }

    fn tell(&mut self, told: &Told) -> Result<()> {
        self.add(told)?;
        self.flush()
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::File { path: PathBuf::from("standard output"), error }
}

fn serve_orders(orders: &Receiver<Order>, tell: &mut Teller) -> Result<()> {
    let Ok(Order::Start { job, sessions }) = orders.recv() else {
        return Err(Error::Usage("this command is for raympp-loadgen itself".to_owned()));
    };
    let target = InProcess::start(&job, &sessions)?;
    tell.tell(&Told::Open(target.producers()))?;
    let producers = Target::producers(&target);
    let mut serving = Serving {
        panicked: target.panicked(),
        target: Box::new(target),
        decoders: (0..producers).map(|_| Decoder::default()).collect(),
        waiting: VecDeque::new(),
        visible: vec![0; producers],
        counts: Counts::default(),
        next_look: Instant::now(),
    };
    loop {
        let has_told = serving.tell(tell)?;
        match serving.carry_out(orders)? {
            Carried::Nothing if !has_told => std::thread::park_timeout(PAUSE),
            Carried::Nothing | Carried::Something => {}
            Carried::Finish => return finish(serving.target, tell),
            Carried::Alone => return Ok(()),
        }
    }
}

/// Ends the input. Panics that never came about are for the other end to tell, which knows what it asked for.
fn finish(target: Box<InProcess>, tell: &mut Teller) -> Result<()> {
    let panicked = target.panicked();
    match target.finish() {
        Ok(()) | Err(Error::Untriggered(_)) => {}
        Err(error) => return Err(error),
    }
    panicked().into_iter().try_for_each(|partition| tell.add(&Told::Panicked(partition)))?;
    tell.tell(&Told::Finished)
}

/// What there was to do.
enum Carried {
    Nothing,
    Something,
    Finish,
    /// Nobody gives orders any more.
    Alone,
}

struct Serving {
    target: Box<InProcess>,
    decoders: Vec<Decoder>,
    /// Rows that the engine has had no room for.
    waiting: VecDeque<(usize, RecordBatch)>,
    visible: Vec<u64>,
    counts: Counts,
    next_look: Instant,
    /// Partitions whose primaries have panicked since this was last called.
    panicked: Box<dyn Fn() -> Vec<u32>>,
}

impl Serving {
    /// Tells what is new.
    fn tell(&mut self, tell: &mut Teller) -> Result<bool> {
        let mut has_told = false;
        for (producer, told) in self.visible.iter_mut().enumerate() {
            let visible = self.target.visible(producer)?;
            if visible > *told {
                *told = visible;
                tell.add(&Told::Visible(producer, visible))?;
                has_told = true;
            }
        }
        let now = Instant::now();
        let counts = (now >= self.next_look).then(|| self.target.counts());
        while let Some(results) = self.target.results()? {
            tell.add(&Told::Results(results))?;
            has_told = true;
        }
        if let Some(counts) = counts {
            self.next_look = now + LOOK;
            for partition in (self.panicked)() {
                tell.add(&Told::Panicked(partition))?;
                has_told = true;
            }
            if counts != self.counts {
                self.counts = counts;
                // Behind the results that they speak of.
                tell.add(&Told::Counts(counts))?;
                has_told = true;
            }
        }
        if has_told {
            tell.flush()?;
        }
        Ok(has_told)
    }

    fn carry_out(&mut self, orders: &Receiver<Order>) -> Result<Carried> {
        if let Some((producer, rows)) = self.waiting.front() {
            if self.target.push(*producer, rows)? == Push::Full {
                return Ok(Carried::Nothing);
            }
            self.waiting.pop_front();
            return Ok(Carried::Something);
        }
        match orders.try_recv() {
            Err(TryRecvError::Empty) => Ok(Carried::Nothing),
            Err(TryRecvError::Disconnected) => Ok(Carried::Alone),
            Ok(Order::Finish) => Ok(Carried::Finish),
            Ok(Order::Panic(partition)) => self.target.inject(Fault::Panic(partition)).map(|()| Carried::Something),
            Ok(Order::Rows { producer, bytes, .. }) => {
                let failed = |error: arrow::error::ArrowError| Error::Usage(format!("rows that can't be read: {error}"));
                let batches = self.decoders[producer].decode(bytes).map_err(failed)?;
                self.waiting.extend(batches.into_iter().map(|rows| (producer, rows)));
                Ok(Carried::Something)
            }
            Ok(Order::Start { .. }) => Err(Error::Usage("an engine is started once".to_owned())),
        }
    }
}
