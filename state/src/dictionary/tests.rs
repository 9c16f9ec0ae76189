//! What a listener makes of what a sender says, and how many ids that takes.

use super::*;
use arrow::array::{Int32Array, Int64Array, StringArray};
use std::collections::{BTreeMap, HashSet};

const PARTITIONS: u32 = 2;
/// Event time of a generation.
const GENERATION_US: i64 = 1_000;

/// A sender and who listens to it.
struct Spoken {
    keys: SenderKeys,
    /// Keys by partition and wire id.
    known: BTreeMap<(u32, u32), Vec<u8>>,
    heard: HashSet<Vec<u8>>,
    now_us: i64,
    retired: usize,
}

impl Spoken {
    fn new() -> Spoken {
        let mut keys = SenderKeys::new(0, KeyGroups::new(KeyGroups::GROUPS_DEFAULT, PARTITIONS).expect("two partitions"));
        keys.set_span(4 * GENERATION_US);
        Spoken { keys, known: BTreeMap::new(), heard: HashSet::new(), now_us: 0, retired: 0 }
    }

    /// Hears what has changed: no key is there twice, none is retired that is not there.
    fn hear(&mut self) {
        self.retired = 0;
        for partition in 0..PARTITIONS {
            let Some(change) = self.keys.take_change(PartitionId(partition)) else { continue };
            for &wire in &change.retired {
                let key = self.known.remove(&(partition, wire)).expect("a key that is there");
                self.heard.remove(&key);
            }
            self.retired += change.retired.len();
            for (&wire, key) in change.added.iter().zip(change.keys.iter()) {
                assert_eq!(self.known.insert((partition, wire), key.to_vec()), None);
                assert!(self.heard.insert(key.to_vec()), "a key is announced once");
            }
        }
    }

    fn check(&self, column: &ArrayRef, active: Option<&BooleanBuffer>, routes: &[Route]) {
        let encoder = KeyEncoder::new(std::slice::from_ref(column));
        for (row, route) in routes.iter().enumerate().filter(|(row, _)| active.is_none_or(|active| active.value(*row))) {
            let mut bytes = Vec::new();
            encoder.encode(row, &mut bytes);
            assert_eq!(self.known.get(&(route.partition, route.wire)), Some(&bytes), "row {row}");
        }
    }

    /// Rows of a batch, by local ids.
    fn rows(&mut self, column: &ArrayRef, active: Option<&BooleanBuffer>) {
        let mut ids = Vec::new();
        self.keys.local_ids(std::slice::from_ref(column), column.len(), active, &mut ids);
        let rows: Vec<u32> = (0..ids.len() as u32).filter(|&row| active.is_none_or(|active| active.value(row as usize))).collect();
        let routes = self.keys.routes(&ids, &rows);
        self.hear();
        let all: Vec<u32> = (0..column.len() as u32).collect();
        let mut of_all = vec![Route { partition: 0, wire: 0 }; all.len()];
        rows.iter().zip(routes).for_each(|(&row, route)| of_all[row as usize] = route);
        self.check(column, active, &of_all);
    }

    /// Rows of a batch, by codes.
    fn rows_by_code(&mut self, column: &ArrayRef) {
        let columns = [Arc::clone(column)];
        let codes = self.keys.codes_of(&columns, None).expect("keys that have codes");
        let routes = self.keys.routes_of_codes(&codes.set, codes.of_rows.iter().copied());
        self.hear();
        self.check(column, None, &routes);
    }

    /// A flush, after which so much event time passes.
    fn flush(&mut self, us: i64) {
        self.keys.sweep(self.now_us);
        self.hear();
        self.now_us += us;
    }
}

fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.into_iter().map(|value| format!("key {value}"))))
}

/// Codes of a dictionary that is given.
fn coded(dictionary: &ArrayRef, codes: impl IntoIterator<Item = i64>) -> ArrayRef {
    let codes = Int32Array::from_iter_values(codes.into_iter().map(|code| code as i32));
    Arc::new(DictionaryArray::new(codes, Arc::clone(dictionary)))
}

/// Many keys come once, then ten others again and again: ids and codes become as few as these need.
fn burst(column: &dyn Fn(&mut dyn Iterator<Item = i64>) -> ArrayRef, by_code: bool) {
    const BURST: i64 = 70_000;
    let mut spoken = Spoken::new();
    let push = |spoken: &mut Spoken, numbers: &mut dyn Iterator<Item = i64>| {
        let column = column(numbers);
        if by_code { spoken.rows_by_code(&column) } else { spoken.rows(&column, None) }
    };
    for from in (0..BURST).step_by(7_000) {
        push(&mut spoken, &mut (from..from + 7_000));
        spoken.flush(1);
    }
    assert_eq!((spoken.keys.ids(), spoken.known.len()), (BURST as usize, BURST as usize));
    let mut flushes = 0;
    while spoken.keys.ids() > 1_000 {
        push(&mut spoken, &mut (0..10).map(|number| BURST + 3 * number));
        spoken.flush(GENERATION_US / 4);
        flushes += 1;
        assert!(spoken.retired <= 128, "a sweep pauses nobody: {} keys at one flush", spoken.retired);
        // Keys are too young for six generations, then they go at this pace, and a few flushes drop their ids.
        assert!(flushes < 6 * 4 + BURST / 128 + 20, "{} ids are left, {} keys", spoken.keys.ids(), spoken.known.len());
    }
    for _ in 0..100 {
        push(&mut spoken, &mut (0..10).map(|number| BURST + 3 * number));
        spoken.flush(GENERATION_US / 4);
    }
    assert!(spoken.keys.ids() <= 40, "{} ids", spoken.keys.ids());
    assert_eq!((spoken.known.len(), spoken.keys.routes.len()), (10, spoken.keys.ids()));
    // Others get the ids that have become free.
    push(&mut spoken, &mut (0..30));
    assert_eq!((spoken.known.len(), spoken.keys.ids()), (40, 40));
}

#[test]
fn a_burst_of_keys_leaves_no_ids_behind() {
    burst(&|numbers| texts(numbers), false);
    burst(&|numbers| integers(numbers.map(|number| number << 30)), false);
    burst(&|numbers| integers(numbers), true);
    let dictionary = texts(0..80_000);
    burst(&|numbers| coded(&dictionary, numbers), true);
    burst(&|numbers| coded(&dictionary, numbers), false);
}

/// Rows that do not count may be NULL or lie far off: the others have codes all the same.
#[test]
fn rows_that_do_not_count_have_no_say_in_codes() {
    let rows = 200;
    let counts = |row: usize| row % 3 != 1;
    let active = BooleanBuffer::collect_bool(rows, counts);
    let value = |row: usize| match row % 6 {
        1 => None,
        4 => Some(i64::MIN + row as i64),
        _ => Some(1_000_000 + row as i64),
    };
    let numbers: ArrayRef = Arc::new((0..rows).map(value).collect::<Int64Array>());
    let dictionary = texts(0..rows as i64);
    let code = |row: usize| counts(row).then_some(row as i32);
    let coded: ArrayRef = Arc::new(DictionaryArray::new((0..rows).map(code).collect::<Int32Array>(), dictionary));
    for column in [numbers, coded] {
        let mut spoken = Spoken::new();
        let columns = [Arc::clone(&column)];
        assert!(spoken.keys.codes_of(&columns, None).is_none(), "all count");
        assert!(spoken.keys.codes_of(&columns, Some(&BooleanBuffer::collect_bool(rows, |row| row != 1))).is_none(), "too many count");
        let codes = spoken.keys.codes_of(&columns, Some(&active)).expect("those that count have codes");
        assert!(codes.of_rows.iter().all(|&code| (code as usize) < codes.set.len()));
        assert!(codes.set.len() <= 256);
        let routes = spoken.keys.routes_of_codes(&codes.set, codes.of_rows.iter().copied());
        spoken.hear();
        spoken.check(&column, Some(&active), &routes);
    }
    let mut spoken = Spoken::new();
    let none = BooleanBuffer::new_unset(rows);
    let column = [integers(0..rows as i64)];
    let codes = spoken.keys.codes_of(&column, Some(&none));
    assert!(codes.is_none_or(|codes| codes.of_rows.iter().all(|&code| (code as usize) < codes.set.len())));
}

/// A key has one name, whatever else is in its batch and whether it comes as a value or as a code.
#[test]
fn a_key_is_announced_once_whatever_lies_beside_it() {
    let numbers = |nulls: bool| -> ArrayRef { Arc::new((0..50).map(|n| (!nulls || n % 7 > 0).then_some(n)).collect::<Int64Array>()) };
    let words =
        |nulls: bool| -> ArrayRef { Arc::new((0..50).map(|n| (!nulls || n % 7 > 0).then(|| format!("key {n}"))).collect::<StringArray>()) };
    let dictionary = texts(0..50);
    let nullable: ArrayRef = Arc::new((0..50).map(|n| (n % 5 > 0).then(|| format!("key {n}"))).collect::<StringArray>());
    let of_codes = |nulls: bool, dictionary: &ArrayRef| -> ArrayRef {
        let codes: Int32Array = (0..50).map(|n| (!nulls || n % 7 > 0).then_some(n)).collect();
        Arc::new(DictionaryArray::new(codes, Arc::clone(dictionary)))
    };
    let mut spoken = Spoken::new();
    for round in 0..6 {
        spoken.rows(&numbers(round % 2 == 1), None);
        spoken.flush(GENERATION_US / 2);
    }
    spoken.rows_by_code(&numbers(false));
    assert_eq!(spoken.known.len(), 51, "fifty numbers and NULL");
    let mut spoken = Spoken::new();
    for round in 0..6 {
        spoken.rows(&words(round % 2 == 1), None);
        spoken.rows(&of_codes(round % 2 == 0, &dictionary), None);
        spoken.rows(&of_codes(round % 2 == 0, &nullable), None);
        spoken.rows_by_code(&of_codes(false, &dictionary));
        spoken.flush(GENERATION_US / 2);
    }
    assert_eq!(spoken.known.len(), 51, "fifty texts and NULL");
    // Rows without a key that do not count are nobody's.
    let active = BooleanBuffer::collect_bool(50, |row| row % 7 > 0);
    for column in [numbers(true), words(true), of_codes(true, &dictionary)] {
        let mut spoken = Spoken::new();
        spoken.rows(&column, Some(&active));
        assert_eq!(spoken.known.len(), 42);
    }
}

/// Numbers of generations go round: a code that was used a round ago is looked up again, and no key is taken for older or younger than it is.
#[test]
fn generations_go_round() {
    for (used_in, generation, is_kept) in
        [(1, 1, true), (65_535, 1, true), (65_533, 3, true), (65_532, 3, false), (1, 6, true), (1, 7, false), (7, 1, false)]
    {
        assert_eq!(sweep::is_kept(used_in, generation), is_kept, "used in {used_in}, now {generation}");
    }
    let (dictionary, others) = (texts(0..20), texts(1_000..67_000));
    let mut spoken = Spoken::new();
    let (old, hot) = (coded(&dictionary, 0..10), coded(&dictionary, 10..20));
    spoken.rows_by_code(&old);
    spoken.rows_by_code(&hot);
    spoken.rows(&others, None);
    spoken.flush(GENERATION_US);
    let started = spoken.keys.generations.current;
    let mut flushes = 0;
    // All but ten are forgotten.
    while spoken.keys.ids() > 20 {
        spoken.rows_by_code(&hot);
        spoken.flush(GENERATION_US);
        flushes += 1;
        assert!(flushes < 700, "{} ids are left", spoken.keys.ids());
    }
    assert_eq!((spoken.known.len(), spoken.keys.generations.current), (10, started + flushes));
    // Then a round less those flushes goes by, in steps of several generations.
    while spoken.keys.generations.current != started {
        let left = (u32::from(started) + 65_535 - u32::from(spoken.keys.generations.current)) % 65_535;
        spoken.now_us += GENERATION_US * i64::from(left.min(5)) - GENERATION_US;
        spoken.flush(GENERATION_US);
        spoken.rows_by_code(&hot);
    }
    // The wire ids that codes had a round ago are nobody's, or others'.
    spoken.rows(&texts(2_000..2_100), None);
    spoken.rows_by_code(&old);
    spoken.rows_by_code(&hot);
    assert_eq!(spoken.known.len(), 120);
}
