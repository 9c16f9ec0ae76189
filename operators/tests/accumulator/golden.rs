//! Encoded cells as they are in checkpoints, byte by byte. A change here is a change of the format: it needs a new version.

use crate::harness::{Batch, Row, aggregate};
use raympp_operators::accumulator::heavy::Hll;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, Heavy, PickOrder, SumColumn};
use raympp_operators::expr::Expr;
use raympp_types::DataType;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(column: &AccumulatorColumn, i: usize) -> String {
    let mut out = Vec::new();
    column.encode_cell(i, &mut out);
    hex(&out)
}

#[test]
fn words_and_sums() {
    let counts = AccumulatorColumn::Count(vec![0, 127, 128, u64::MAX]);
    assert_eq!([0, 1, 2, 3].map(|i| code(&counts, i)), ["00", "7f", "8001", "ffffffffffffffffff01"]);
    let extremes = AccumulatorColumn::Extreme(vec![0, 258]);
    assert_eq!([0, 1].map(|i| code(&extremes, i)), ["0000000000000000", "0000000000000102"]);
    let mut sums = SumColumn::Narrow(vec![0, 1, -1, 127, 128, -128, -129, 0]);
    sums.add_wide4(7, &[0, 0, 1, 0]);
    let sums = AccumulatorColumn::Sum(sums);
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6, 7].map(|i| code(&sums, i)),
        ["00", "0101", "01ff", "017f", "028000", "0180", "027fff", "110000000000000000000000000000000001"]
    );
}

/// The accumulator over these rows.
fn folded(accumulator: &Accumulator, data_type: DataType, rows: &[Row]) -> String {
    let batch = Batch::new(rows, data_type);
    code(&batch.fold(accumulator, &batch.all()), 0)
}

fn last(name: &str, data_type: DataType) -> Accumulator {
    aggregate(name, false, data_type, false).lower().accumulators.pop().expect("an accumulator")
}

#[test]
fn heavy_cells() {
    let rest =
        |values: &[f64]| folded(&last("sum", DataType::Double), DataType::Double, &values.iter().map(|&v| Row::of(v)).collect::<Vec<_>>());
    assert_eq!(rest(&[1.0]), "00");
    assert_eq!(rest(&[f64::NAN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), "06010102010100");
    assert_eq!(rest(&[-5e-324]), "0701010000".to_string() + "0001ff");
    let texts = |texts: &[&str]| texts.iter().map(|&text| Row::of(text)).collect::<Vec<_>>();
    let multiset = last("top_k", DataType::Varchar);
    assert_eq!(folded(&multiset, DataType::Varchar, &texts(&["b", "a", "b"])), "0d010302030161000103016200".to_string() + "02");
    let at = |value: &str, by: i64, time_us| Row { value: value.into(), by: by.into(), passes: None, time_us };
    let rows = [at("x", 5, 1), at("y", 5, 2), at("z", 6, -1)];
    let stamp = |time: &str, offset: &str| format!("{time}00000003{offset}");
    let first = folded(&last("first_value", DataType::Varchar), DataType::Varchar, &rows);
    assert_eq!(first, format!("1b010214{}03017a00", stamp("7fffffffffffffff", "0000000000000002")));
    let last_value = folded(&last("last_value", DataType::Varchar), DataType::Varchar, &rows);
    assert_eq!(last_value, "1b0102147ffffffffffffffdfffffffcfffffffffffffffe03017900");
    let arg_min = folded(&last("arg_min", DataType::Varchar), DataType::Varchar, &rows);
    assert_eq!(arg_min, format!("2401021d018000000000000005{}03017800", stamp("8000000000000001", "0000000000000000")));
    let arg_max = folded(&last("arg_max", DataType::Varchar), DataType::Varchar, &rows);
    assert_eq!(arg_max, format!("2401021dfe7ffffffffffffff9{}03017a00", stamp("7fffffffffffffff", "0000000000000002")));
    assert_eq!(folded(&last("min", DataType::Varchar), DataType::Varchar, &rows), "0701020301780000");
    assert_eq!(folded(&last("max", DataType::Varchar), DataType::Varchar, &rows), "07010203fe85ff00");
    let sketch = folded(&last("approx_median", DataType::Double), DataType::Double, &[1.0, 1.0, -2.0, 0.0].map(Row::of));
    assert_eq!(sketch, "0f010503".to_string() + "c0ff0301" + "c1990401" + "81990402");
}

#[test]
fn sketches_of_distinct_values() {
    let one = folded(&last("approx_count_distinct", DataType::Varchar), DataType::Varchar, &[Row::of("a")]);
    assert_eq!(one, "06010401a23701");
    let mut sketch = Hll::default();
    (0..10_000u64).for_each(|i| sketch.add_hash(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let mut bytes = Vec::new();
    Heavy::Hll(sketch).encode(&mut bytes);
    assert_eq!(bytes.len(), 4 + 16_384 / 4 * 3);
    assert_eq!(hex(&xxhash_rust::xxh64::xxh64(&bytes, 0).to_be_bytes()), "f16b7ac792d33d5e");
}

#[test]
fn cells_of_another_accumulator_version_or_kind_are_refused() {
    let input = || Expr::column(0, "x", DataType::BigInt);
    let multiset = Accumulator::Multiset { input: input(), filter: None };
    let pick = Accumulator::Pick { order: PickOrder::First, inputs: vec![input()], filter: None };
    let text = folded(&last("top_k", DataType::Varchar), DataType::Varchar, &[Row::of("a")]);
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect();
    let decode = |accumulator: &Accumulator, bytes: &[u8]| {
        AccumulatorColumn::identity(accumulator, 0).decode_cell(accumulator, bytes).map_err(|error| error.to_string())
    };
    assert_eq!(decode(&multiset, &bytes), Err("the encoded accumulator is damaged: a value of another type".to_string()));
    assert_eq!(decode(&pick, &bytes), Err("the encoded accumulator is damaged: a cell of another accumulator".to_string()));
    let mut later = bytes.clone();
    later[1] = 2;
    assert_eq!(decode(&multiset, &later), Err("the encoded accumulator has format version 2, which is not known here".to_string()));
    assert_eq!(decode(&multiset, &[2, 1, 9]), Err("the encoded accumulator is damaged: an unknown kind of cell".to_string()));
    let empty_set = [3, 1, 3, 0];
    assert_eq!(decode(&multiset, &empty_set), Err("the encoded accumulator is damaged: an empty cell, which is never written".to_string()));
}
