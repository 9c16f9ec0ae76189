//! Names of things: plain numbers in types of their own, so that an offset can never be passed where an epoch is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl $name {
            /// The one after this.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

id!(
    /// A position in a split: the number of rows before it. A delta stamped `(from, to]` holds rows number `from` to `to - 1`, counted from 0.
    Offset(u64), ""
);
id!(
    /// An ordered, replayable run of rows of one stream. Ids follow the splits' stable order within the stream.
    SplitId(u32), "split "
);
id!(
    /// Fencing number of the task that reads a split: a higher one voids all lower ones.
    SplitTerm(u64), "split term "
);
id!(
    /// Fencing number of a partition's primary.
    Term(u64), "term "
);
id!(
    /// The rows between two barriers; epoch n ends at barrier n.
    Epoch(u64), "epoch "
);
id!(
    /// A range of key groups of one stream with all metrics on them; one actor.
    PartitionId(u32), "partition "
);
id!(
    /// One copy of a partition; never used again in its partition, so a copy that was lost and the one that took its place are two.
    ReplicaId(u32), "replica "
);
id!(
    /// A stream of an engine, in order of creation.
    StreamId(u32), "stream "
);
id!(
    /// A metric of an engine, in order of creation; never used again after a drop.
    MetricId(u32), "metric "
);
id!(
    /// A sink of an engine, in order of creation; never used again after a drop.
    SinkId(u32), "sink "
);
id!(
    /// A store of a stream's plan in one layout of partitions, as checkpoints name it; never used again, also not after a restart.
    StoreUid(u32), "store "
);
id!(
    /// Counts the changes of a stream's set of metrics; a barrier's mark carries the version in force after it.
    PlanVersion(u64), "plan "
);
