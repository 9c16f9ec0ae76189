//! Readers of splits are lost, and others go on for them: what comes out is what would have without. What a reader had sent arrives at some
//! replicas and not at others, and what arrives after the new reader has asked is void.

use super::{Copy, Feeder, Harness, chain_options};
use raympp_state::chain::Chain;
use raympp_state::delta::Mark;
use raympp_state::opening::{Opened, Opening};
use raympp_testkit::random::Random;
use raympp_types::{Epoch, EventTime, Offset, SplitTerm};

impl Harness {
    /// Runs to the end, and now and then loses a split's reader on the way.
    pub(crate) fn run_with_takeovers(&mut self, random: &mut Random, most: u64) {
        loop {
            if self.takeovers < most && random.once_in(40) {
                self.take_over(random.index(self.feeders.len()), random);
            } else if self.step(random) {
                break;
            }
        }
        self.close_all();
    }

    /// Loses the reader of a split and opens another.
    fn take_over(&mut self, split: usize, random: &mut Random) {
        self.takeovers += 1;
        let (id, term) = (self.feeders[split].rows.split, SplitTerm(1 + self.takeovers));
        let told = self.told();
        let all = self.feeders[split].ended && self.feeders[split].ended_before < self.finished;
        let mut opening = Opening::new(0..self.copies.len() * self.run.replicas);
        for (number, copy) in self.copies.iter_mut().flatten().enumerate() {
            while copy.has_told(split, told) || (all || random.once_in(2)) && !copy.inbox[split].is_empty() {
                copy.deliver(split, &self.plans);
            }
            opening.answer(number, copy.replica.answer(id, term).expect("the term is new"));
            assert_eq!(copy.replica.answer(id, term), None, "it has been given away");
        }
        let opened = opening.open().expect("all have answered").expect("marks are where they are");
        self.open_again(split, term, &opened);
        if let Some(change) = self.change.as_mut().filter(|change| opened.barrier < change.epoch) {
            change.placed.remove(&id);
        }
        self.pass_stops(split);
    }

    /// The last barrier that its senders have told to be placed everywhere: it is on its way to every replica, and nothing can stop it.
    fn told(&self) -> Epoch {
        self.change.as_ref().map_or(self.epoch, |change| Epoch(change.epoch.0 - 1))
    }

    fn open_again(&mut self, split: usize, term: SplitTerm, opened: &Opened) {
        let (options, plan) = (chain_options(&self.script), &self.plans[opened.plan.0 as usize - 1]);
        let feeder = &mut self.feeders[split];
        feeder.chain = Chain::open_again(feeder.rows.split, term, opened, options, plan, self.key_groups);
        feeder.seek(opened.at);
        feeder.ended = opened.over;
        feeder.keep_floors(opened);
    }

    /// Ends deltas where the chain has to, and repeats marks there.
    pub(super) fn pass_stops(&mut self, split: usize) {
        while let Some(stop) = self.feeders[split].chain.take_stop() {
            let rows = self.feeders[split].chain.flush(Vec::new());
            self.send(split, rows);
            for mark in stop.marks {
                let feeder = &mut self.feeders[split];
                feeder.ended |= mark == Mark::End;
                let delta = feeder.chain.flush(vec![mark.clone()]);
                if let Mark::Barrier { plan, .. } = mark {
                    feeder.chain.adopt(&self.plans[plan.0 as usize - 1]);
                }
                self.send(split, delta);
            }
        }
    }
}

impl Copy {
    /// True if a barrier up to this one is on its way.
    fn has_told(&self, split: usize, told: Epoch) -> bool {
        let is_told = |mark: &Mark| matches!(mark, Mark::Barrier { epoch, .. } if *epoch <= told);
        self.inbox[split].iter().any(|delta| delta.stamp.marks.iter().any(is_told) && !self.replica.is_fenced(&delta.stamp))
    }
}

impl Feeder {
    /// To the row at an offset.
    pub(super) fn seek(&mut self, offset: Offset) {
        self.reader.seek(offset);
    }

    /// Floors that nobody has seen have never been.
    fn keep_floors(&mut self, opened: &Opened) {
        let repeated = |offset: Offset, floor: EventTime| {
            let at = opened.stops.iter().find(|stop| stop.at == offset);
            at.is_some_and(|stop| stop.marks.contains(&Mark::Floor(floor)))
        };
        self.rows.floors.retain(|&(offset, floor)| {
            offset < opened.at || offset == opened.at && floor <= opened.watermark.floor || repeated(offset, floor)
        });
    }
}
