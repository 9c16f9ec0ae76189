//! The table of a case, in Markdown.

use super::Case;
use super::agreement::Agreement;
use super::measure::Measured;
use super::programs::OURS;

const HEAD: &str = "\
| | million rows/s/core, median | least–most | Ray-MPP with the same guarantee is faster by | timed runs | cores busy | checkpoints in a run | version; settings |
|---|--:|--:|--:|--:|--:|--:|---|";

/// Prints it.
pub(super) fn print(case: &Case, rows: usize, measured: &[Measured<'_>], agreement: &Agreement) {
    let found =
        agreement.accepted(rows, 1).map_or_else(String::new, |(results, hash)| format!(", {results} results of one pass, hash {hash}"));
    println!("\n{}: {rows} rows a pass{found}\n\n{HEAD}", case.name);
    measured.iter().for_each(|one| println!("{}", row(one, rows, measured, agreement)));
    println!();
}

fn row(one: &Measured<'_>, rows: usize, measured: &[Measured<'_>], agreement: &Agreement) -> String {
    let name = &one.peer.name;
    if agreement.is_outvoted(name) {
        return format!("| {name} | other results | | | | | | |");
    }
    let (median, least, most) = one.rates();
    let versions = one.timed.first().map_or_else(String::new, |line| format!("{}; {}", line.version, line.settings));
    let (faster, runs, busy) = (faster_by(one, measured), runs(one, rows), one.busy_cores());
    let checkpoints = one.checkpoints().map_or_else(String::new, |least| least.to_string());
    format!("| {name} | {median:.3} | {least:.3}–{most:.3} | {faster} | {runs} | {busy:.2} | {checkpoints} | {versions} |")
}

/// Beside the first variant of Ray-MPP that guarantees the same.
fn faster_by(one: &Measured<'_>, measured: &[Measured<'_>]) -> String {
    let same = |other: &&Measured<'_>| other.peer.system == OURS && other.peer.is_exactly_once == one.peer.is_exactly_once;
    match measured.iter().find(same) {
        Some(ours) if one.peer.system != OURS => format!("{:.1}", ours.rates().0 / one.rates().0),
        _ => String::new(),
    }
}

/// How many, how long, and of what.
fn runs(one: &Measured<'_>, rows: usize) -> String {
    let Some(line) = one.timed.first() else { return String::new() };
    let fewer = if line.rows < rows { format!(" of only {} rows", line.rows) } else { String::new() };
    let passes = if line.passes > 1 { format!("{} passes", line.passes) } else { "1 pass".to_owned() };
    format!("{} × {:.1} s, {passes}{fewer}", one.timed.len(), one.seconds())
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::super::calls::Line;
    use super::super::calls::tests::line;
    use super::super::programs::Peer;
    use super::super::programs::tests::peer;
    use super::*;

    #[test]
    fn ratios_are_between_the_same_guarantees() {
        let exactly_once = |peer: Peer| Peer { is_exactly_once: true, ..peer };
        let peers = [peer(OURS, 1), exactly_once(peer(OURS, 1)), peer("P", 1), exactly_once(peer("P", 1))];
        let measured: Vec<Measured<'_>> =
            peers.iter().zip([1.0, 2.0, 10.0, 10.0]).map(|(peer, seconds)| Measured::new(peer, vec![line(seconds, "a")], vec![])).collect();
        assert_eq!(measured.iter().map(|one| faster_by(one, &measured)).collect::<Vec<_>>(), ["", "", "10.0", "5.0"]);
    }

    #[test]
    fn a_row_says_how_it_was_measured() {
        let peer = peer("P", 1);
        let timed =
            vec![Line { checkpoints: Some(31), passes: 4, ..line(2.0, "a") }, Line { checkpoints: Some(33), passes: 4, ..line(4.0, "a") }];
        let measured = Measured::new(&peer, timed, vec![]);
        let mut agreement = Agreement::default();
        let row = row(&measured, 20_000_000, &[], &agreement);
        assert_eq!(row, "| P | 15.000 | 10.000–20.000 |  | 2 × 3.0 s, 4 passes of only 10000000 rows | 1.50 | 31 | 1; s |");
        agreement.add("P", "P", &line(1.0, "a"));
        agreement.add("P", "P", &line(1.0, "b"));
        print(&CASES[0], 20_000_000, &[measured], &agreement);
        assert_eq!(agreement.disagreements().len(), 1);
    }
}
