//! Idle splits: when a split that offers no rows stops holding windows open, and what its floor is then.
//!
//! There are two halves. A [`SilenceWatch`] beside the reader of each split knows since when the split has offered nothing, and says when
//! that has lasted too long. [`IdleSplits`], one per stream, turns this into floors:
//!
//! - While some split is not idle, the floor of the idle ones is the lowest watermark of those that are not.
//! - When all are idle, the floor rises *with the clock*: from the highest watermark of the splits, by one microsecond of event time in a
//!   microsecond of wall time, counted from the moment the last of them fell silent. So it is where the watermark would be if events had
//!   gone on at the clock's pace. It does not jump to the clock's own time: event time may be years behind or ahead of it, and rows
//!   that go on where the others ended would then all be late. Where event time is wall time, the two are the same but for the bound.
//!
//! Silence is proven, never guessed: a split is asked for rows and has none. One that is not asked, because a consumer holds the stream
//! back or a queue is full, does not get any idler. A lost connection is not silence: it holds the watermark for a time of its own, counted
//! from the loss, and then the split counts as idle. A floor names the silence it rests on and is placed only while that lasts.
//!
//! Timing enters results here and nowhere else. It can't break exactness: a floor only raises the watermark of its own split, which then
//! judges that split's rows like any watermark.

use raympp_types::{EventTime, SplitId};
use std::collections::{BTreeMap, BTreeSet};

/// Time from one rise of floors to the next: so much longer than without idle splits do windows stay open at most.
const PERIOD_US: u64 = 50_000;
/// When all splits have been idle for long, floors rise in steps of this part of the time passed, so that a stream without input costs little.
const PACE_PARTS: u64 = 64;

/// When splits of a stream count as idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleRule {
    /// A connected split that has offered no rows for this long is idle; `None`: never.
    pub idle_timeout_us: Option<u64>,
    /// A split whose connection has been lost for this long is idle.
    pub disconnect_timeout_us: u64,
}

/// A silence that makes a split idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When the split was first found without rows, in microseconds of wall time.
    pub since_us: u64,
    /// When it was last.
    pub at_us: u64,
    /// Its watermark in between.
    pub watermark: EventTime,
}

/// What a split has turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It counts as idle from now on, for a silence that began then.
    Idle {
        /// In microseconds of wall time.
        since_us: u64,
    },
    /// It does no longer.
    Active,
}

/// Watches over one split; see the module.
#[derive(Clone, Debug)]
pub struct SilenceWatch {
    rule: IdleRule,
    since_us: Option<u64>,
    lost: bool,
    idle: bool,
}

impl SilenceWatch {
    /// Of a split that has not been asked for rows yet.
    pub fn new(rule: IdleRule) -> SilenceWatch {
        SilenceWatch { rule, since_us: None, lost: false, idle: false }
    }

    /// The split was asked for rows and had some.
    pub fn rows(&mut self) -> Option<Turn> {
        self.since_us = None;
        std::mem::take(&mut self.idle).then_some(Turn::Active)
    }

    /// The split was asked for rows at `now_us` and had none. `lost`: nor has it a connection that could bring any.
    pub fn no_rows(&mut self, now_us: u64, lost: bool) -> Option<Turn> {
        if lost != self.lost {
            self.lost = lost;
            self.since_us = Some(now_us);
            if std::mem::take(&mut self.idle) {
                return Some(Turn::Active);
            }
        }
        let since_us = *self.since_us.get_or_insert(now_us);
        let due = !self.idle && self.timeout_us().is_some_and(|timeout| now_us.saturating_sub(since_us) >= timeout);
        self.idle |= due;
        due.then_some(Turn::Idle { since_us })
    }

    fn timeout_us(&self) -> Option<u64> {
        if self.lost { Some(self.rule.disconnect_timeout_us) } else { self.rule.idle_timeout_us }
    }

    /// True while the split counts as idle.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// When the silence that lasts began.
    pub fn since_us(&self) -> Option<u64> {
        self.since_us
    }

    /// When the split is to be asked again, to be found idle in time.
    pub fn due_us(&self) -> Option<u64> {
        if self.idle { None } else { Some(self.since_us?.saturating_add(self.timeout_us()?)) }
    }
}

/// A floor to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) split: SplitId,
    pub(crate) since_us: u64,
    pub(crate) floor: EventTime,
}

/// An idle split.
struct Idle {
    since_us: u64,
    /// Its watermark, floors included.
    watermark: EventTime,
    /// When the watermark became what it is, or later.
    as_of_us: u64,
}

/// All splits of a stream are idle: floors go on from here.
#[derive(Clone, Copy)]
struct Quiet {
    from: EventTime,
    since_us: u64,
}

impl Quiet {
    /// From the highest watermark, since the last split fell silent, but not since before that watermark was reached.
    fn after<'a>(idle: impl Iterator<Item = &'a Idle> + Clone, now_us: u64) -> Quiet {
        let from = idle.clone().map(|idle| idle.watermark).max().unwrap_or(EventTime::MIN);
        let reached_us = idle.clone().filter(|idle| idle.watermark == from).map(|idle| idle.as_of_us).min();
        let silent_us = idle.map(|idle| idle.since_us).max();
        Quiet { from, since_us: reached_us.max(silent_us).unwrap_or(now_us) }
    }
}

/// The idle splits of one stream; see the module.
#[derive(Default)]
pub(crate) struct IdleSplits {
    idle: BTreeMap<SplitId, Idle>,
    quiet: Option<Quiet>,
    due_us: Option<u64>,
}

/// What [`IdleSplits::rise`] needs or has decided.
pub(crate) enum Rise {
    /// Nothing.
    Nothing,
    /// The watermarks of the splits, for [`IdleSplits::follow`].
    Look,
    /// These floors.
    Floors(Vec<Floor>),
}

impl IdleSplits {
    /// A split has turned idle.
    pub(crate) fn turn_idle(&mut self, split: SplitId, silence: Silence) {
        let Silence { since_us, at_us, watermark } = silence;
        self.idle.insert(split, Idle { since_us, watermark, as_of_us: since_us });
        self.quiet = None;
        self.due_us = Some(at_us);
    }

    /// A split is not idle: it has rows, has lost its connection, has ended, or is new.
    pub(crate) fn not_idle(&mut self, split: SplitId) {
        self.quiet = None;
        self.idle.remove(&split);
        self.due_us = if self.idle.is_empty() { None } else { Some(0) };
    }

    /// When [`IdleSplits::rise`] is to be called next.
    pub(crate) fn due_us(&self) -> Option<u64> {
        self.due_us
    }

    /// Raises floors, if that is due. `live`: the splits that have not ended.
    pub(crate) fn rise(&mut self, now_us: u64, live: &BTreeSet<SplitId>) -> Rise {
        if self.due_us.is_none_or(|due| due > now_us) {
            return Rise::Nothing;
        }
        self.due_us = None;
        if live.iter().any(|split| !self.idle.contains_key(split)) {
            self.due_us = Some(now_us + PERIOD_US);
            return Rise::Look;
        }
        Rise::Floors(self.go_on(now_us))
    }

    /// Floors of idle splits where others are not: `watermarks` are what splits have shown.
    pub(crate) fn follow(&mut self, now_us: u64, live: &BTreeSet<SplitId>, watermarks: &[(SplitId, EventTime)]) -> Vec<Floor> {
        let shown: BTreeMap<SplitId, EventTime> = watermarks.iter().copied().collect();
        let active = live.iter().filter(|split| !self.idle.contains_key(split));
        let lowest = active.map(|split| shown.get(split).copied().unwrap_or(EventTime::MIN)).min();
        lowest.map_or_else(Vec::new, |floor| self.raise(now_us, floor))
    }

    /// Floors where all splits are idle.
    fn go_on(&mut self, now_us: u64) -> Vec<Floor> {
        let quiet = *self.quiet.get_or_insert_with(|| Quiet::after(self.idle.values(), now_us));
        let passed_us = now_us.saturating_sub(quiet.since_us);
        self.due_us = Some(now_us + PERIOD_US.max(passed_us / PACE_PARTS));
        if quiet.from == EventTime::MIN {
            return Vec::new();
        }
        let floor = quiet.from.0.saturating_add_unsigned(passed_us).min(EventTime::MAX.0 - 1);
        self.raise(now_us, EventTime(floor))
    }

    fn raise(&mut self, now_us: u64, floor: EventTime) -> Vec<Floor> {
        let lower = self.idle.iter_mut().filter(|(_, idle)| idle.watermark < floor);
        lower
            .map(|(&split, idle)| {
                (idle.watermark, idle.as_of_us) = (floor, now_us);
                Floor { split, since_us: idle.since_us, floor }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const RULE: IdleRule = IdleRule { idle_timeout_us: Some(SECOND), disconnect_timeout_us: 30 * SECOND };

    #[test]
    fn a_split_is_idle_after_the_timeout_and_not_before() {
        let mut watch = SilenceWatch::new(RULE);
        assert_eq!(watch.due_us(), None);
        assert_eq!(watch.no_rows(5, false), None);
        assert_eq!(watch.due_us(), Some(SECOND + 5));
        assert_eq!(watch.no_rows(SECOND + 4, false), None);
        assert_eq!(watch.no_rows(SECOND + 5, false), Some(Turn::Idle { since_us: 5 }));
        assert_eq!(watch.no_rows(SECOND + 6, false), None, "said once");
        assert_eq!((watch.is_idle(), watch.due_us()), (true, None));
        assert_eq!(watch.rows(), Some(Turn::Active));
        assert_eq!((watch.rows(), watch.since_us()), (None, None));
        assert_eq!(watch.no_rows(9 * SECOND, false), None, "a silence anew");
        assert_eq!(watch.since_us(), Some(9 * SECOND));
    }

    #[test]
    fn a_split_that_is_not_asked_gets_no_idler() {
        let mut watch = SilenceWatch::new(RULE);
        assert_eq!(watch.no_rows(0, false), None);
        assert_eq!(watch.rows(), None, "asked after an hour, it has rows");
        assert_eq!(watch.no_rows(3_600 * SECOND, false), None);
    }

    #[test]
    fn a_lost_connection_holds_for_its_own_time_from_the_loss() {
        let mut watch = SilenceWatch::new(RULE);
        watch.no_rows(0, false);
        assert_eq!(watch.no_rows(SECOND, false), Some(Turn::Idle { since_us: 0 }));
        assert_eq!(watch.no_rows(2 * SECOND, true), Some(Turn::Active));
        assert_eq!(watch.due_us(), Some(32 * SECOND));
        assert_eq!(watch.no_rows(32 * SECOND - 1, true), None);
        assert_eq!(watch.no_rows(32 * SECOND, true), Some(Turn::Idle { since_us: 2 * SECOND }));
    }

    #[test]
    fn without_a_timeout_only_a_loss_makes_idle() {
        let mut watch = SilenceWatch::new(IdleRule { idle_timeout_us: None, disconnect_timeout_us: 7 });
        assert_eq!(watch.no_rows(0, false), None);
        assert_eq!((watch.no_rows(u64::MAX, false), watch.due_us()), (None, None));
        let mut watch = SilenceWatch::new(IdleRule { idle_timeout_us: None, disconnect_timeout_us: 0 });
        assert_eq!(watch.no_rows(3, true), Some(Turn::Idle { since_us: 3 }));
    }

    fn splits(ids: &[u32]) -> BTreeSet<SplitId> {
        ids.iter().map(|&id| SplitId(id)).collect()
    }

    fn turn_idle(idle: &mut IdleSplits, split: u32, since_us: u64, watermark: i64) {
        idle.turn_idle(SplitId(split), Silence { since_us, at_us: since_us + SECOND, watermark: EventTime(watermark) });
    }

    /// (Split, floor) of each floor raised.
    fn raised(floors: &[Floor]) -> Vec<(u32, i64)> {
        floors.iter().map(|floor| (floor.split.0, floor.floor.0)).collect()
    }

    fn rise(idle: &mut IdleSplits, now_us: u64, live: &BTreeSet<SplitId>) -> Option<Vec<(u32, i64)>> {
        match idle.rise(now_us, live) {
            Rise::Nothing => None,
            Rise::Look => panic!("not all are idle"),
            Rise::Floors(floors) => Some(raised(&floors)),
        }
    }

    #[test]
    fn idle_splits_follow_the_lowest_active_one() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1, 2]));
        turn_idle(&mut idle, 1, 0, 40);
        assert_eq!(idle.due_us(), Some(SECOND), "at once");
        assert!(matches!(idle.rise(SECOND, &live), Rise::Look));
        let shown = [(SplitId(0), EventTime(100)), (SplitId(1), EventTime(40)), (SplitId(2), EventTime(70))];
        let floors = idle.follow(SECOND, &live, &shown);
        assert_eq!(floors, [Floor { split: SplitId(1), since_us: 0, floor: EventTime(70) }]);
        assert_eq!(idle.follow(SECOND, &live, &shown), [], "it is there already");
        assert_eq!(idle.due_us(), Some(SECOND + PERIOD_US));
        assert!(matches!(idle.rise(SECOND + PERIOD_US - 1, &live), Rise::Nothing));
        assert!(matches!(idle.rise(SECOND + PERIOD_US, &live), Rise::Look));
    }

    #[test]
    fn a_split_that_has_shown_no_row_holds_the_others() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 1, 0, 40);
        assert_eq!(idle.follow(SECOND, &live, &[(SplitId(1), EventTime(40))]), []);
        assert_eq!(idle.follow(SECOND, &live, &[(SplitId(0), EventTime::MIN)]), []);
    }

    #[test]
    fn a_split_ahead_of_the_active_ones_is_left_alone() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 1, 0, 40);
        assert_eq!(idle.follow(SECOND, &live, &[(SplitId(0), EventTime(39))]), []);
    }

    #[test]
    fn without_active_splits_floors_rise_with_the_clock_from_the_highest_watermark() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 0, 3 * SECOND, 1_000);
        turn_idle(&mut idle, 1, 2 * SECOND, 400);
        let second = SECOND as i64;
        assert_eq!(rise(&mut idle, 4 * SECOND, &live), Some(vec![(0, 1_000 + second), (1, 1_000 + second)]));
        assert_eq!(rise(&mut idle, 4 * SECOND + PERIOD_US - 1, &live), None);
        assert_eq!(rise(&mut idle, 5 * SECOND, &live), Some(vec![(0, 1_000 + 2 * second), (1, 1_000 + 2 * second)]));
    }

    #[test]
    fn it_does_not_matter_which_of_two_is_found_silent_first() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 0, 0, 3);
        assert_eq!(raised(&idle.follow(SECOND, &live, &[(SplitId(1), EventTime(12))])), [(0, 12)]);
        turn_idle(&mut idle, 1, 0, 12);
        let floor = 12 + SECOND as i64;
        assert_eq!(rise(&mut idle, SECOND, &live), Some(vec![(0, floor), (1, floor)]));
    }

    #[test]
    fn a_split_ahead_waits_for_the_last_to_fall_silent() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 0, 0, 1_000);
        turn_idle(&mut idle, 1, 500 * SECOND, 7);
        let floor = 1_000 + SECOND as i64;
        assert_eq!(rise(&mut idle, 501 * SECOND, &live), Some(vec![(0, floor), (1, floor)]));
    }

    #[test]
    fn a_long_silence_is_looked_at_ever_less_often() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0]));
        turn_idle(&mut idle, 0, 0, 0);
        assert_eq!(rise(&mut idle, 6_400 * SECOND, &live), Some(vec![(0, 6_400 * SECOND as i64)]));
        assert_eq!(idle.due_us(), Some(6_500 * SECOND));
    }

    #[test]
    fn the_clock_starts_anew_after_a_split_was_active() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 0, 0, 0);
        turn_idle(&mut idle, 1, 0, 0);
        assert_eq!(rise(&mut idle, 2 * SECOND, &live), Some(vec![(0, 2_000_000), (1, 2_000_000)]));
        idle.not_idle(SplitId(1));
        assert!(matches!(idle.rise(10 * SECOND, &live), Rise::Look));
        assert_eq!(raised(&idle.follow(10 * SECOND, &live, &[(SplitId(1), EventTime(2_500_000))])), [(0, 2_500_000)]);
        turn_idle(&mut idle, 1, 11 * SECOND, 2_600_000);
        assert_eq!(rise(&mut idle, 12 * SECOND, &live), Some(vec![(0, 3_600_000), (1, 3_600_000)]));
    }

    #[test]
    fn the_end_of_the_last_active_split_makes_no_floor_jump() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0, 1]));
        turn_idle(&mut idle, 0, 0, 0);
        idle.follow(1_000 * SECOND, &live, &[(SplitId(1), EventTime(7))]);
        idle.not_idle(SplitId(1));
        let live = splits(&[0]);
        assert_eq!(rise(&mut idle, 1_001 * SECOND, &live), Some(vec![(0, 1_000_007)]));
    }

    #[test]
    fn a_split_without_rows_has_nothing_to_go_on_from() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0]));
        idle.turn_idle(SplitId(0), Silence { since_us: 0, at_us: SECOND, watermark: EventTime::MIN });
        assert_eq!(rise(&mut idle, SECOND, &live), Some(vec![]));
    }

    #[test]
    fn a_split_that_joins_or_wakes_is_followed_at_once() {
        let mut idle = IdleSplits::default();
        turn_idle(&mut idle, 0, 0, 5);
        rise(&mut idle, 1_000 * SECOND, &splits(&[0]));
        assert_eq!(idle.due_us().map(|due| due > 1_001 * SECOND), Some(true));
        idle.not_idle(SplitId(1));
        assert!(matches!(idle.rise(1_000 * SECOND, &splits(&[0, 1])), Rise::Look));
        idle.not_idle(SplitId(0));
        assert_eq!(idle.due_us(), None);
    }

    #[test]
    fn floors_never_reach_the_end_of_time() {
        let (mut idle, live) = (IdleSplits::default(), splits(&[0]));
        turn_idle(&mut idle, 0, 0, i64::MAX - 10);
        assert_eq!(rise(&mut idle, SECOND, &live), Some(vec![(0, i64::MAX - 1)]));
    }
}
