//! Forgetting: keys that no window can hold any more are retired, and what is left is numbered densely.
//!
//! A key that no row has named for longer than any window can hold it is retired at the next sweep, and sweeps are due when many keys have come since
//! the last; and, where there were many, when those that the last one found too young are old, since no others may come after a burst. Age is
//! counted in *generations* of event time, a quarter of that span each. Replicas hold a key as long as a wire id may name it, so the retirement
//! travels with the next delta. A sweep looks at some keys at each flush, a few times as many as have come since the last flush, so that neither
//! sender nor replicas pause for all of them, and it is over before many more have come.
//!
//! Tables have a cell for each id, so ids are to be few: between sweeps free ones at the end are dropped, and keys get lower ones while ids are many
//! times as many as keys. Codes know ids, so they are found anew then.

use super::{KeptRoute, SenderKeys};

/// Keys added before a sweep is worth it, at least; or keys there were.
const SWEEP_MIN: usize = 65_536;
/// What a sweep does at one flush at least.
const SWEEP_STEP_MIN: SweepStep = SweepStep { looks: 2_048, retired: 128 };
/// What it does at one flush for each key that has come since the last flush, if that is more.
const SWEEP_STEP_PER_ADDED: SweepStep = SweepStep { looks: 8, retired: 2 };
/// Ids may be so many times as many as keys.
const IDS_PER_KEY: usize = 4;
/// Free ids that are dropped at one flush at most;
const DROPPED_MAX: usize = 65_536;
/// a key that gets another id costs as much as so many of them.
const MOVE_COST: usize = 16;
/// Memory for routes is given back if there is so many times as much as is needed, and more than for so many.
const ROOM: (usize, usize) = (8, 1024);
/// Generations in the span that a key is kept for.
const GENERATIONS: i64 = 4;
/// A key used in none of so many generations, nor in the one at hand, is retired: one more than the span has, since generations are cut anywhere.
const GENERATIONS_KEPT: u16 = 5;
/// Numbers of generations go from 1 to this and then round again.
const GENERATION_MAX: u16 = u16::MAX;

/// Bounds of what a sweep does at one flush.
#[derive(Clone, Copy)]
struct SweepStep {
    /// Ids looked at.
    looks: usize,
    /// Keys retired.
    retired: usize,
}

impl SweepStep {
    fn after(added: usize) -> SweepStep {
        SweepStep {
            looks: SWEEP_STEP_MIN.looks.max(added * SWEEP_STEP_PER_ADDED.looks),
            retired: SWEEP_STEP_MIN.retired.max(added * SWEEP_STEP_PER_ADDED.retired),
        }
    }
}

/// Event time in generations, as far as it has come.
pub(super) struct Generations {
    /// How far back in event time a window can be that still holds a key.
    span_us: i64,
    /// Which one event time is in; `i64::MIN` before it is known.
    at: i64,
    /// The number it goes by.
    pub(super) current: u16,
}

impl Default for Generations {
    fn default() -> Self {
        Generations { span_us: i64::MAX, at: i64::MIN, current: 1 }
    }
}

/// How far a sweep is, and what makes the next one due.
#[derive(Default)]
pub(super) struct Sweep {
    /// The next id to look at, if one is under way.
    next: Option<u32>,
    /// Keys that have come since the last one began,
    pub(super) added: usize,
    /// of which so many had come by the last flush.
    added_by_flush: usize,
    /// Keys there were when the last one ended.
    kept: usize,
    /// The generation in which the last one began, and keys there were then.
    began_in: u16,
    began_with: usize,
}

impl SenderKeys {
    /// Sets how far back in event time a window can be that still holds a key.
    pub fn set_span(&mut self, span_us: i64) {
        if std::mem::replace(&mut self.generations.span_us, span_us) != span_us {
            // Generations go on from the one at hand, in their new length.
            self.generations.at = i64::MIN;
        }
    }

    /// Notes that event time has come to `seen_us` and, if a sweep is due or under way, retires some of the keys that no window can hold any
    /// more. To be called at each flush, when no local id is kept anywhere.
    pub fn sweep(&mut self, seen_us: i64) {
        if self.generations.span_us == i64::MAX || seen_us == i64::MIN {
            return;
        }
        let is_next = self.follow(seen_us);
        let added = self.sweep.added - std::mem::replace(&mut self.sweep.added_by_flush, self.sweep.added);
        if is_next && self.sweep.next.is_none() && self.is_sweep_due() {
            let (kept, began_in, began_with) = (self.sweep.kept, self.generations.current, self.index.keys());
            self.sweep = Sweep { next: Some(0), kept, began_in, began_with, ..Sweep::default() };
        }
        match self.sweep.next {
            Some(from) => self.sweep_step(from, SweepStep::after(added)),
            None => self.condense(),
        }
    }

    /// Brings the generation up to event time; true if another one than the first has begun.
    fn follow(&mut self, seen_us: i64) -> bool {
        let generations = &mut self.generations;
        let at = seen_us.div_euclid((generations.span_us / GENERATIONS).max(1));
        let before = std::mem::replace(&mut generations.at, at);
        if before == i64::MIN || at == before {
            return false;
        }
        let passed = at.saturating_sub(before).min(i64::from(GENERATIONS_KEPT) + 1) as u32;
        let current = ((u32::from(generations.current) - 1 + passed) % u32::from(GENERATION_MAX) + 1) as u16;
        let is_round = current < std::mem::replace(&mut generations.current, current);
        if is_round {
            // What is known of codes that come now and then only may be a round old.
            self.forget_codes();
        }
        true
    }

    /// True if many keys have come, or there were many and by now those are old that the last sweep found too young.
    fn is_sweep_due(&self) -> bool {
        let were_many = || self.index.keys().max(self.sweep.began_with) >= SWEEP_MIN;
        self.sweep.added >= SWEEP_MIN.max(self.sweep.kept / 8) || (were_many() && !is_kept(self.sweep.began_in, self.generations.current))
    }

    fn sweep_step(&mut self, from: u32, step: SweepStep) {
        let (mut retired, ids) = (0, self.index.ids() as u32);
        let mut id = from;
        while id < ids && ((id - from) as usize) < step.looks && retired < step.retired {
            if !self.routes[id as usize].is_kept(self.generations.current) && self.retire(id) {
                retired += 1;
            }
            id += 1;
        }
        self.sweep.next = (id < ids).then_some(id);
        if id == ids {
            self.sweep.kept = self.index.keys();
        }
    }

    /// False if the id is free.
    fn retire(&mut self, id: u32) -> bool {
        if !self.index.remove(id) {
            return false;
        }
        let KeptRoute { partition, wire, .. } = self.routes[id as usize];
        let wires = &mut self.wires[partition as usize];
        wires.change.retired.push(wire);
        wires.free.push(wire);
        true
    }

    /// Drops free ids at the end, and gives keys lower ones while ids are too many.
    fn condense(&mut self) {
        let (mut budget, mut has_moved) = (DROPPED_MAX, false);
        loop {
            budget -= self.index.trim(budget);
            if budget < MOVE_COST || self.index.ids() <= IDS_PER_KEY * self.index.keys() {
                break;
            }
            let Some((from, to)) = self.index.move_last() else { break };
            self.routes[to as usize] = self.routes[from as usize];
            (budget, has_moved) = (budget - MOVE_COST, true);
        }
        let ids = self.index.ids();
        self.routes.truncate(ids);
        if self.routes.capacity() > ROOM.0 * ids.max(ROOM.1) {
            self.routes.shrink_to(2 * ids);
        }
        if has_moved {
            self.forget_codes();
        }
    }

    fn forget_codes(&mut self) {
        (self.dictionary_codes, self.integer_codes) = (None, None);
    }
}

/// True if a key that was used then can't have been retired by now.
pub(super) fn is_kept(used_in: u16, generation: u16) -> bool {
    let age = (u32::from(generation) + u32::from(GENERATION_MAX - used_in)) % u32::from(GENERATION_MAX);
    age <= u32::from(GENERATIONS_KEPT)
}
