//! Any sequence of what can happen keeps the invariants, and all of it is finished once everything has arrived.

use crate::world::{Step, World};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    let index = 0..8usize;
    prop_oneof![
        4 => (0..3_000u64).prop_map(Step::Time),
        1 => Just(Step::Time(200_000)),
        1 => Just(Step::Join),
        1 => Just(Step::Plan),
        4 => (index.clone(), 1..1_000i64).prop_map(|(split, us)| Step::Rows(split, us)),
        8 => index.clone().prop_map(Step::Mark),
        1 => index.clone().prop_map(Step::End),
        2 => index.clone().prop_map(Step::Silence),
        4 => index.clone().prop_map(Step::Ack),
        8 => index.clone().prop_map(Step::HearSplit),
        4 => index.prop_map(Step::HearPartition),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_every_step(splits in 0..4u32, partitions in 1..4u32, steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(splits, partitions);
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.check_settled();
    }
}
