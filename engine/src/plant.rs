//! Where a test may make an engine break: a hook that is told of the places that tasks and actors come to, and may panic there.
//!
//! Costs a look at an option per delta and step, where nothing is planted.

use raympp_types::{Offset, PartitionId, ReplicaId, SplitId};
use std::fmt;
use std::panic::RefUnwindSafe;
use std::sync::Arc;

/// A place that a task or actor has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A split's task is about to take rows from here on.
    Read {
        /// Which split.
        split: SplitId,
        /// Rows before them.
        from: Offset,
    },
    /// A split's task has made deltas up to here, and sent none of the last step.
    Folded {
        /// Which split.
        split: SplitId,
        /// Rows up to here.
        to: Offset,
    },
    /// A replica is about to apply a delta.
    Apply {
        /// Of which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
        /// Of which split.
        split: SplitId,
        /// Where the delta ends.
        to: Offset,
    },
    /// A replica has applied a delta, and nobody knows of it.
    Applied {
        /// Of which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
        /// Of which split.
        split: SplitId,
        /// Where the delta ends.
        to: Offset,
    },
    /// A replica is about to close windows or to hand over what it owes.
    Step {
        /// Of which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
    },
}

type Hook = dyn Fn(Place) + Send + Sync + RefUnwindSafe;

/// The hook, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Plant(Option<Arc<Hook>>);

impl Plant {
    pub(crate) fn new(hook: impl Fn(Place) + Send + Sync + RefUnwindSafe + 'static) -> Plant {
        Plant(Some(Arc::new(hook)))
    }

    pub(crate) fn visit(&self, place: impl FnOnce() -> Place) {
        if let Some(hook) = &self.0 {
            hook(place());
        }
    }
}

impl fmt::Debug for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plant({})", self.0.is_some())
    }
}
