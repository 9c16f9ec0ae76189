//! Planted bugs. Each breaks a rule of the design at a seam of the simulator, never inside a machine; a simulator that does not catch one of them
//! proves nothing about that rule.

mod live_memory;

pub(super) use live_memory::LiveMemory;

use std::fmt;

/// A bug to be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// A new reader's deltas do not end where the listeners of its predecessor stand.
    NoCut,
    /// A new reader places barriers where it is, and not where its predecessor's listeners have them.
    BarrierAnew,
    /// Replicas act on a floor before all that answer a new reader have recorded it: the reader knows nothing of it.
    FloorEarly,
    /// A list is made from live memory: it holds rows beyond its barrier that happen to have been applied.
    LiveMemory,
    /// Checkpoints name keys by their replica's ids, which mean other keys after a restart.
    IdsPersisted,
    /// A sink prepares all windows it has, not only those that end at or before F(n).
    BeyondFrontier,
    /// Partitions say that an epoch is sealed when they have its barrier, and not when its windows have closed.
    HalfWindow,
    /// A split that joins begins with a floor of its own, not with F(n).
    OwnPaceJoin,
    /// A split that joins is opened without a barrier.
    JoinWithoutBarrier,
    /// A task goes on under a new plan one barrier late, and not at the barrier that brings it.
    PlanWithoutBarrier,
    /// A standby closes windows at its own frontier, whether or not sinks have them from the primary.
    StandbyAhead,
    /// A replica that is still to be filled counts as in sync, so it may be promoted.
    PromoteOutside,
    /// The source forgets what the primary has applied, and not what is committed.
    TrimByAck,
    /// Late rows reach their sink past the deltas.
    LateOutside,
}

impl Canary {
    /// All of them.
    pub const ALL: [Canary; 14] = [
        Canary::NoCut,
        Canary::BarrierAnew,
        Canary::FloorEarly,
        Canary::LiveMemory,
        Canary::IdsPersisted,
        Canary::BeyondFrontier,
        Canary::HalfWindow,
        Canary::OwnPaceJoin,
        Canary::JoinWithoutBarrier,
        Canary::PlanWithoutBarrier,
        Canary::StandbyAhead,
        Canary::PromoteOutside,
        Canary::TrimByAck,
        Canary::LateOutside,
    ];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Canary::NoCut => "no-cut",
            Canary::BarrierAnew => "barrier-anew",
            Canary::FloorEarly => "floor-early",
            Canary::LiveMemory => "live-memory",
            Canary::IdsPersisted => "ids-persisted",
            Canary::BeyondFrontier => "beyond-frontier",
            Canary::HalfWindow => "half-window",
            Canary::OwnPaceJoin => "own-pace-join",
            Canary::JoinWithoutBarrier => "join-without-barrier",
            Canary::PlanWithoutBarrier => "plan-without-barrier",
            Canary::StandbyAhead => "standby-ahead",
            Canary::PromoteOutside => "promote-outside",
            Canary::TrimByAck => "trim-by-ack",
            Canary::LateOutside => "late-outside",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Canary> {
        Canary::ALL.into_iter().find(|canary| canary.name() == name)
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
