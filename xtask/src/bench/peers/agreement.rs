//! What all peers found, compared: whoever was asked for the same rows and passes must have found the same results.

use super::calls::Line;
use std::collections::{BTreeMap, BTreeSet};

/// Who found what, by rows and passes.
#[derive(Default)]
pub(super) struct Agreement {
    asked: BTreeMap<(usize, usize), Answers>,
}

#[derive(Default)]
struct Answers {
    systems: BTreeSet<&'static str>,
    /// Names of peers by results and hash.
    peers: BTreeMap<(u64, String), BTreeSet<String>>,
}

impl Answers {
    /// What most peers found.
    fn accepted(&self) -> Option<&(u64, String)> {
        self.peers.iter().max_by_key(|(_, peers)| peers.len()).map(|(found, _)| found)
    }
}

impl Agreement {
    pub(super) fn add(&mut self, peer: &str, system: &'static str, line: &Line) {
        let answers = self.asked.entry((line.rows, line.passes)).or_default();
        answers.systems.insert(system);
        answers.peers.entry((line.results, line.hash.clone())).or_default().insert(peer.to_owned());
    }

    /// Rows, passes and the only system that was asked for them.
    pub(super) fn alone(&self) -> Vec<(usize, usize, &'static str)> {
        let alone = self.asked.iter().filter(|(_, answers)| answers.systems.len() == 1);
        alone.flat_map(|((rows, passes), answers)| answers.systems.iter().map(|system| (*rows, *passes, *system))).collect()
    }

    /// Results and hash of so many rows and passes.
    pub(super) fn accepted(&self, rows: usize, passes: usize) -> Option<&(u64, String)> {
        self.asked.get(&(rows, passes)).and_then(Answers::accepted)
    }

    /// Whether the peer found other results than most.
    pub(super) fn is_outvoted(&self, peer: &str) -> bool {
        let others =
            |answers: &Answers| answers.peers.iter().any(|(found, peers)| peers.contains(peer) && Some(found) != answers.accepted());
        self.asked.values().any(others)
    }

    /// Who found what, wherever that is not the same.
    pub(super) fn disagreements(&self) -> Vec<String> {
        let differing = self.asked.iter().filter(|(_, answers)| answers.peers.len() > 1);
        let found = |((results, hash), peers): (&(u64, String), &BTreeSet<String>)| {
            let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
            format!("{results} results with the hash {hash} by {}", peers.join("; "))
        };
        let described = |answers: &Answers| answers.peers.iter().map(found).collect::<Vec<_>>().join(", but ");
        differing.map(|((rows, passes), answers)| format!("in {passes} passes of {rows} rows, {}", described(answers))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::tests::line;
    use super::*;

    #[test]
    fn a_peer_with_other_results_is_named() {
        let mut agreement = Agreement::default();
        ["A", "B", "C"].iter().for_each(|name| agreement.add(name, "S", &line(1.0, "aa")));
        assert!(agreement.disagreements().is_empty());
        agreement.add("D", "T", &line(1.0, "bb"));
        assert_eq!(
            agreement.disagreements(),
            ["in 1 passes of 10000000 rows, 3 results with the hash aa by A; B; C, but 3 results with the hash bb by D"]
        );
        assert!(agreement.is_outvoted("D") && !agreement.is_outvoted("A"));
        assert_eq!(agreement.accepted(10_000_000, 1), Some(&(3, "aa".to_owned())));
    }

    #[test]
    fn runs_of_one_peer_must_agree() {
        let mut agreement = Agreement::default();
        ["aa", "bb"].iter().for_each(|hash| agreement.add("A", "S", &line(1.0, hash)));
        assert_eq!(agreement.disagreements().len(), 1);
    }

    #[test]
    fn nobody_is_compared_with_other_passes() {
        let mut agreement = Agreement::default();
        agreement.add("A", "S", &line(1.0, "aa"));
        agreement.add("B", "T", &Line { passes: 2, ..line(1.0, "bb") });
        assert!(agreement.disagreements().is_empty());
        assert_eq!(agreement.alone(), [(10_000_000, 1, "S"), (10_000_000, 2, "T")]);
    }
}
