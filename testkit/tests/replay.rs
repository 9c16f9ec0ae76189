//! A seed is all that a life depends on.
#![allow(missing_docs, reason = "tests")]

use raympp_testkit::sim::{Canary, live};

#[test]
fn a_seed_lives_the_same_life_again() {
    let mut digests = Vec::new();
    for seed in 0..20 {
        let [once, again] = [(), ()].map(|()| live(seed, None, false));
        let (once, again) = (once.expect("it goes well"), again.expect("it goes well"));
        assert_eq!(once, again, "seed {seed}");
        digests.push(once.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20, "every seed is a life of its own");
}

#[test]
fn a_failure_is_found_again_at_the_same_step() {
    let found = |seed| live(seed, Some(Canary::BeyondFrontier), false).err();
    let seed = (0..200).find(|&seed| found(seed).is_some()).expect("the planted bug is caught");
    let [once, again] = [(), ()].map(|()| found(seed).map(|failure| (failure.invariant, failure.message, failure.story)));
    assert_eq!(once, again);
}
