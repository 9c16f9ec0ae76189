//! Any sequence of what can happen keeps the invariants, and all of it is finished once everything has arrived.

use crate::world::{Step, World, Write};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![8 => Just(Write::Done), 1 => Just(Write::FailedInVain), 1 => Just(Write::FailedAndYetDone)]
}

/// What streams do.
fn stream_step() -> impl Strategy<Value = Step> {
    let (stream, index) = (0..4usize, 0..6usize);
    let of = (stream.clone(), index.clone());
    prop_oneof![
        4 => (stream.clone(), index, 1..1_000i64).prop_map(|(stream, split, us)| Step::Rows(stream, split, us)),
        10 => of.clone().prop_map(|(stream, split)| Step::Mark(stream, split)),
        12 => of.clone().prop_map(|(stream, split)| Step::HearSplit(stream, split)),
        2 => of.clone().prop_map(|(stream, split)| Step::End(stream, split)),
        1 => of.clone().prop_map(|(stream, split)| Step::Silence(stream, split)),
        8 => of.clone().prop_map(|(stream, partition)| Step::Ack(stream, partition)),
        8 => of.prop_map(|(stream, partition)| Step::HearPartition(stream, partition)),
        1 => stream.clone().prop_map(Step::Join),
        1 => stream.prop_map(Step::Plan),
    ]
}

/// What sinks and the store do.
fn commit_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4usize).prop_map(Step::Prepare),
        3 => (0..4usize).prop_map(Step::HearSink),
        3 => write().prop_map(Step::Write),
        3 => Just(Step::HearStore),
    ]
}

/// What comes, goes and fails.
fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u32, 1..3usize).prop_map(|(splits, partitions)| Step::Start(splits, partitions)),
        1 => (0..4usize).prop_map(Step::Drop),
        3 => (0..4usize).prop_map(Step::AddSink),
        1 => (0..4usize).prop_map(Step::DropSink),
        2 => (0..4usize, 0..2usize).prop_map(|(stream, partition)| Step::FailPartition(stream, partition)),
        2 => (0..4usize).prop_map(Step::FailSink),
        2 => write().prop_map(Step::Restart),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => stream_step(),
        10 => commit_step(),
        6 => (0..3_000u64).prop_map(Step::Time),
        1 => Just(Step::Time(200_000)),
        3 => rare_step(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(12), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_every_step(
        streams in prop::collection::vec((0..3u32, 1..3usize), 1..3),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new();
        for (splits, partitions) in streams {
            world.take(&Step::Start(splits, partitions));
        }
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.check_settled();
    }
}
