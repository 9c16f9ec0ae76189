//! A CSV decoder that is slow and obviously right: one byte at a time, by the rules in the splitter's header.

/// A record: its fields, NULL as `None`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Fields(Vec<Option<Vec<u8>>>),
    Bad,
}

/// All records after the header.
pub(crate) fn records(text: &[u8], fields: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = empty_line(rest) {
            if fields == 1 {
                records.push(Record::Fields(vec![None]));
            }
            rest = after;
            continue;
        }
        match record(rest) {
            Some((cells, after)) => {
                records.push(cells.filter(|cells| cells.len() == fields).map_or(Record::Bad, Record::Fields));
                rest = after;
            }
            None => {
                records.push(Record::Bad);
                rest = rest.iter().position(|&byte| byte == b'\n').map_or(&[], |newline| &rest[newline + 1..]);
            }
        }
    }
    records
}

fn empty_line(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => Some(after),
        [b'\r'] => Some(&[]),
        _ => None,
    }
}

/// A record and what follows; without fields if its quoting is wrong, `None` if a quote is never closed.
#[expect(clippy::type_complexity, reason = "an oracle for one test")]
fn record(text: &[u8]) -> Option<(Option<Vec<Option<Vec<u8>>>>, &[u8])> {
    let (mut at, mut cells, mut right) = (0, Vec::new(), true);
    loop {
        let quoted = text.get(at) == Some(&b'"');
        let mut cell = Vec::new();
        if quoted {
            at += 1;
            loop {
                match (text.get(at)?, text.get(at + 1)) {
                    (b'"', Some(b'"')) => (at += 2, cell.push(b'"')).1,
                    (b'"', _) => break,
                    (&byte, _) => (at += 1, cell.push(byte)).1,
                }
            }
            at += 1;
        }
        let mut behind = Vec::new();
        while at < text.len() && text[at] != b',' && text[at] != b'\n' {
            behind.push(text[at]);
            at += 1;
        }
        let last = text.get(at) != Some(&b',');
        if last && behind.last() == Some(&b'\r') {
            behind.pop();
        }
        right &= if quoted { behind.is_empty() } else { !behind.contains(&b'"') };
        cells.push(if quoted { Some(cell) } else { Some(behind).filter(|bytes| !bytes.is_empty()) });
        at = (at + 1).min(text.len());
        if last {
            return Some((right.then_some(cells), &text[at..]));
        }
    }
}
