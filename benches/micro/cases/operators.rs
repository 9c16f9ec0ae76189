//! WHERE, expressions, codes of keys, ids of keys, window arithmetic.

use super::hashes::{of_column, of_columns, of_numbers, of_texts};
use super::rows::{batch, metric, position};
use super::{Case, Ready, reading, using_up};
use arrow::array::{Array, ArrayRef, RecordBatch};
use raympp_operators::expr::Expr;
use raympp_operators::expr::arrow_types::data_type_of;
use raympp_operators::keycode::{KeyEncoder, decode_columns};
use raympp_operators::window::Window;
use raympp_state::delta::KeyList;
use raympp_state::dictionary::SenderKeys;
use raympp_state::keys::Keys;
use raympp_types::{DataType, KeyGroups};

const FILTERS: [(&str, &str); 8] = [
    ("integer > literal", "amount > 500000"),
    ("decimal > literal", "fee > 5000.00"),
    ("dictionary = literal", "channel = 'channel 00007'"),
    ("string = literal", "city = 'channel 00007'"),
    ("string IN 3", "city IN ('channel 00001', 'channel 00002', 'channel 00003')"),
    ("string LIKE", "city LIKE 'channel%7'"),
    ("string ~", "city ~ '[13]7$'"),
    ("AND, OR, IS NULL", "ok AND amount > 1000 OR note IS NULL"),
];

const EXPRESSIONS: [(&str, &str); 12] = [
    ("bigint + bigint * literal", "account / 1000 + amount * 3"),
    ("double * double + double", "price * 1.1 + price"),
    ("decimal * decimal", "fee * fee"),
    ("CASE of 3", "CASE WHEN amount < 1000 THEN 'small' WHEN amount < 100000 THEN 'middle' ELSE 'large' END"),
    ("COALESCE", "COALESCE(note, city)"),
    ("upper of a dictionary", "upper(channel)"),
    ("upper of a string", "upper(city)"),
    ("string || string", "city || ' ' || note"),
    ("date_trunc", "date_trunc('hour', event_time)"),
    ("EXTRACT", "EXTRACT(minute FROM event_time)"),
    ("string to timestamp", "CAST(stamp AS TIMESTAMP)"),
    ("decimal to string", "CAST(fee AS VARCHAR)"),
];

/// Key columns by what is special about them.
const KEYS: [(&str, &[&str]); 4] =
    [("dictionary", &["channel"]), ("string", &["city"]), ("bigint", &["account"]), ("string and boolean", &["city", "ok"])];

pub(super) fn cases() -> Vec<Case> {
    let filter = |sql: &str| metric(&format!("SELECT COUNT(*) AS n FROM rows WHERE {sql}")).filter.clone().expect("there is a WHERE");
    let expression = |sql: &str| metric(&format!("SELECT COUNT(*) AS n FROM rows GROUP BY {sql}")).keys[0].expr.clone();
    let filters = FILTERS.iter().map(|(name, sql)| evaluation(format!("WHERE/{name}"), filter(sql)));
    let expressions = EXPRESSIONS.iter().map(|(name, sql)| evaluation(format!("expression/{name}"), expression(sql)));
    filters.chain(expressions).chain(KEYS.iter().flat_map(keys)).chain([hop_windows()]).collect()
}

fn evaluation(name: String, expr: Expr) -> Case {
    Case::new(name, move |rows| {
        let (batch, expr) = (batch(rows, 0), expr.clone());
        reading(rows, move || expr.evaluate(&batch, None), |evaluated| of_column(&evaluated.values))
    })
}

fn keys((name, columns): &'static (&str, &[&str])) -> Vec<Case> {
    let case = |what: &str, prepare: fn(Vec<ArrayRef>) -> Ready| {
        Case::new(format!("{what}/{name}"), move |rows| {
            let batch = batch(rows, 0);
            prepare(columns.iter().map(|column| column_of(&batch, column)).collect())
        })
    };
    vec![
        case("encode keys", encode),
        case("decode keys", decode),
        case("sender's ids of new keys", |columns| sender_ids(columns, false)),
        case("sender's ids of known keys", |columns| sender_ids(columns, true)),
        case("replica's ids of new keys", |columns| replica_ids(&columns, false)),
        case("replica's ids of known keys", |columns| replica_ids(&columns, true)),
        case("reader's ids", reader_ids),
    ]
}

fn column_of(batch: &RecordBatch, name: &str) -> ArrayRef {
    ArrayRef::clone(batch.column(position(name)))
}

/// The canonical key of each row.
fn codes(columns: &[ArrayRef]) -> KeyList {
    let encoder = KeyEncoder::new(columns);
    let (mut keys, mut code) = (KeyList::default(), Vec::new());
    for row in 0..columns[0].len() {
        code.clear();
        encoder.encode(row, &mut code);
        keys.push(&code);
    }
    keys
}

fn types(columns: &[ArrayRef]) -> Vec<DataType> {
    columns.iter().map(|column| data_type_of(column.data_type()).expect("a type of SQL")).collect()
}

fn encode(columns: Vec<ArrayRef>) -> Ready {
    reading(columns[0].len(), move || codes(&columns), |keys| of_texts(keys.iter()))
}

fn decode(columns: Vec<ArrayRef>) -> Ready {
    let (keys, types) = (codes(&columns), types(&columns));
    let decode = move || decode_columns(keys.iter(), &types).expect("codes of these types");
    reading(columns[0].len(), decode, |columns| of_columns(&columns))
}

fn sender_ids(columns: Vec<ArrayRef>, known: bool) -> Ready {
    let rows = columns[0].len();
    let look_up = move |mut keys: SenderKeys| {
        let mut ids = Vec::new();
        keys.local_ids(&columns, rows, None, &mut ids);
        (keys, ids)
    };
    let learnt = look_up.clone();
    let fresh = move || {
        let keys = SenderKeys::new(0, KeyGroups::new(KeyGroups::GROUPS_DEFAULT, 1).expect("one partition"));
        if known { learnt(keys).0 } else { keys }
    };
    using_up(rows, fresh, look_up, |(_, ids)| of_numbers(&ids))
}

fn replica_ids(columns: &[ArrayRef], known: bool) -> Ready {
    let (rows, codes, types) = (columns[0].len(), codes(columns), types(columns));
    let look_up = move |mut keys: Keys| {
        let ids: Vec<u32> = codes.iter().map(|key| keys.hold_key(key)).collect();
        (keys, ids)
    };
    let learnt = look_up.clone();
    let fresh = move || if known { learnt(Keys::new(types.clone())).0 } else { Keys::new(types.clone()) };
    using_up(rows, fresh, look_up, |(_, ids)| of_numbers(&ids))
}

fn reader_ids(columns: Vec<ArrayRef>) -> Ready {
    let codes = codes(&columns);
    let mut keys = Keys::new(types(&columns));
    codes.iter().for_each(|key| {
        keys.hold_key(key);
    });
    let look_up = move || codes.iter().map(|key| keys.reader().id(key).expect("a known key")).collect::<Vec<u32>>();
    reading(columns[0].len(), look_up, |ids| of_numbers(&ids))
}

fn hop_windows() -> Case {
    Case::new("windows of a time/HOP of 8", |rows| {
        let window = Window::Hop { slide_us: 1_000_000, size_us: 8_000_000, offset_us: 0 };
        let windows = move || {
            let times = (0..rows as i64).map(|row| row * 1_000_003);
            times.flat_map(|time| window.windows_of(time)).map(|(start, end)| start ^ end).fold(0_i64, i64::wrapping_add)
        };
        reading(8 * rows, windows, |sum| of_texts([sum.to_le_bytes()]))
    })
}
