//! "Did you mean …?": the name closest to a misspelt one.

/// The candidate with the fewest edits from `name`, if that is at most a third of its letters (at least one, transpositions
/// counting once); among equals the alphabetically first, so that messages never depend on an order of iteration.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let limit = (lower.chars().count() / 3).clamp(1, 4);
    let scored = candidates.into_iter().map(|candidate| (edits(&lower, &candidate.to_lowercase()), candidate));
    scored.filter(|(edits, candidate)| *edits <= limit && *candidate != name).min().map(|(_, candidate)| candidate)
}

/// `did you mean "x"?`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|candidate| format!("did you mean \"{candidate}\"?"))
}

/// Optimal string alignment distance. O(|a|·|b|); names are short, and longer ones than 64 letters are never near.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_near_and_another_word_is_not() {
        assert_eq!(nearest("chanel", ["status", "channel", "amount"]), Some("channel"));
        assert_eq!(nearest("lenght", ["length", "left"]), Some("length"));
        assert_eq!(nearest("foo", ["channel", "amount"]), None);
        assert_eq!(nearest("ab", ["ac", "aa"]), Some("aa"));
    }
}
