//! Functions of strings and numbers.

use crate::support::*;
use raympp_operators::expr::{Expr, call, function_names};
use raympp_types::{DataType, Value};

#[test]
fn strings() {
    check_calls(&[
        ("lower", &[varchar("ÀB")], "àb"),
        ("upper", &[varchar("straße")], "STRASSE"),
        ("lower", &[varchar("NULL")], "NULL"),
        ("trim", &[varchar("  a b ")], "a b"),
        ("trim", &[varchar("\ta ")], "\ta"),
        ("btrim", &[varchar("xyaxy"), varchar("yx")], "a"),
        ("ltrim", &[varchar("xxa"), varchar("x")], "a"),
        ("rtrim", &[varchar("a  ")], "a"),
        ("rtrim", &[varchar("a"), varchar("NULL")], "NULL"),
        ("length", &[varchar("naïve")], "5"),
        ("length", &[varchar("")], "0"),
        ("char_length", &[varchar("ab")], "2"),
        ("length", &[operand(DataType::Bytea, "\\x0001ff")], "3"),
        ("replace", &[varchar("aXbX"), varchar("X"), varchar("--")], "a--b--"),
        ("replace", &[varchar("ab"), varchar(""), varchar("-")], "ab"),
        ("starts_with", &[varchar("payments"), varchar("pay")], "true"),
        ("starts_with", &[varchar("pay"), varchar("payments")], "false"),
        ("starts_with", &[varchar("pay"), varchar("NULL")], "NULL"),
        ("concat", &[varchar("a"), integer("NULL"), integer("5"), boolean("true")], "a5t"),
        ("concat", &[varchar("NULL")], ""),
        ("concat", &[double("1.5"), dec(5, 2, "1.5"), date("2013-01-01")], "1.51.502013-01-01"),
        ("md5", &[varchar("")], "d41d8cd98f00b204e9800998ecf8427e"),
        ("md5", &[varchar("abc")], "900150983cd24fb0d6963f7d28e17f72"),
    ]);
}

#[test]
fn parts_of_strings() {
    check_calls(&[
        ("substring", &[varchar("payment"), integer("4")], "ment"),
        ("substring", &[varchar("payment"), integer("1"), integer("3")], "pay"),
        ("substring", &[varchar("payment"), integer("0"), integer("3")], "pa"),
        ("substring", &[varchar("payment"), integer("-2"), integer("5")], "pa"),
        ("substring", &[varchar("payment"), integer("-5"), integer("2")], ""),
        ("substring", &[varchar("payment"), integer("9")], ""),
        ("substring", &[varchar("payment"), integer("3"), integer("0")], ""),
        ("substring", &[varchar("payment"), integer("3"), integer("-1")], "!the length of SUBSTRING is negative"),
        ("substring", &[varchar("payment"), integer("5"), bigint("9223372036854775807")], "ent"),
        ("substring", &[varchar("payment"), bigint("-9223372036854775808")], "payment"),
        ("substring", &[varchar("aéb"), integer("2"), integer("1")], "é"),
        ("substring", &[varchar("NULL"), integer("2"), integer("-1")], "NULL"),
        ("left", &[varchar("abcde"), integer("2")], "ab"),
        ("left", &[varchar("abcde"), integer("-2")], "abc"),
        ("left", &[varchar("abcde"), integer("-9")], ""),
        ("left", &[varchar("éa"), integer("1")], "é"),
        ("right", &[varchar("abcde"), integer("2")], "de"),
        ("right", &[varchar("abcde"), integer("-2")], "cde"),
        ("right", &[varchar("abcde"), integer("0")], ""),
        ("right", &[varchar("abcde"), bigint("-9223372036854775808")], ""),
        ("split_part", &[varchar("a,b,c"), varchar(","), integer("2")], "b"),
        ("split_part", &[varchar("a,b,c"), varchar(","), integer("-1")], "c"),
        ("split_part", &[varchar("a,b,c"), varchar(","), integer("4")], ""),
        ("split_part", &[varchar("a,b,c"), varchar(","), integer("-4")], ""),
        ("split_part", &[varchar("a,b"), varchar(""), integer("1")], "a,b"),
        ("split_part", &[varchar("a,b"), varchar(""), integer("2")], ""),
        ("split_part", &[varchar("a"), varchar(","), integer("0")], "!the field of SPLIT_PART is 0, fields count from 1"),
    ]);
}

#[test]
fn rounding() {
    check_calls(&[
        ("round", &[dec(5, 2, "2.50")], "3"),
        ("round", &[dec(5, 2, "-2.50")], "-3"),
        ("round", &[dec(5, 2, "999.99")], "1000"),
        ("round", &[double("2.5")], "3"),
        ("round", &[double("-2.5")], "-3"),
        ("round", &[double("0.49999999999999994")], "0"),
        ("round", &[double("2.345"), integer("2")], "2.35"),
        ("round", &[double("1234.5"), integer("-2")], "1200"),
        ("round", &[double("1e300"), integer("20")], "1e+300"),
        ("round", &[double("NaN"), integer("2")], "NaN"),
        ("round", &[integer("7")], "7"),
        ("round", &[double("NULL")], "NULL"),
        ("floor", &[double("-1.5")], "-2"),
        ("floor", &[dec(5, 2, "-1.50")], "-2"),
        ("ceil", &[dec(5, 2, "-1.50")], "-1"),
        ("ceiling", &[dec(3, 2, "9.01")], "10"),
        ("ceil", &[double("1.2")], "2"),
        ("abs", &[integer("-5")], "5"),
        ("abs", &[bigint("-9223372036854775808")], "!the result does not fit BIGINT"),
        ("abs", &[dec(5, 2, "-1.50")], "1.50"),
        ("sign", &[dec(5, 2, "-1.50")], "-1"),
        ("sign", &[double("-0")], "0"),
        ("sign", &[double("NaN")], "0"),
        ("sign", &[integer("-7")], "-1"),
        ("mod", &[integer("-7"), integer("3")], "-1"),
    ]);
    // A literal number of digits becomes the scale.
    for (operand, digits, expected) in [
        (dec(5, 3, "1.005"), 2, "1.01"),
        (dec(5, 1, "1.5"), 3, "1.500"),
        (dec(5, 1, "1555.5"), -2, "1600"),
        (dec(5, 1, "9999.9"), 0, "10000"),
        (dec(5, 1, "1555.5"), i64::MIN, "0"),
        (dec(38, 38, "0.5"), 38, "0.50000000000000000000000000000000000000"),
        (dec(38, 0, "99999999999999999999999999999999999999"), -38, "!the result does not fit DECIMAL(38,0)"),
        (integer("1555"), -2, "1600"),
        (dec(5, 1, "NULL"), 1, "NULL"),
    ] {
        let rounded = |mut e: Vec<Expr>| call("round", vec![e.remove(0), Expr::literal(Value::BigInt(digits))]);
        assert_eq!(eval(std::slice::from_ref(&operand), rounded), expected, "{operand:?} to {digits}");
    }
    // A number of digits from a column leaves the scale as it is.
    let columns = [array(decimal(6, 3), &["1.005", "1.005"]), array(DataType::Integer, &["2", "-1"])];
    let expr = call("round", vec![Expr::column(0, "d", decimal(6, 3)), Expr::column(1, "n", DataType::Integer)]).unwrap();
    assert_eq!(expr.data_type(), decimal(7, 3));
    assert_eq!(column_of(&expr, &columns), "1.010, 0.000");
}

#[test]
fn powers_and_logarithms() {
    check_calls(&[
        ("power", &[integer("2"), integer("10")], "1024"),
        ("power", &[double("0"), double("-1")], "!zero to a negative power"),
        ("power", &[double("-8"), double("0.5")], "!a negative number to a power that is not whole"),
        ("power", &[double("-2"), double("3")], "-8"),
        ("power", &[double("10"), double("400")], "!the result does not fit DOUBLE PRECISION"),
        ("power", &[double("10"), double("-400")], "!the result is too small for DOUBLE PRECISION"),
        ("power", &[double("NaN"), double("0")], "1"),
        ("power", &[double("1"), double("NaN")], "1"),
        ("power", &[double("Infinity"), double("2")], "Infinity"),
        ("pow", &[double("NULL"), double("2")], "NULL"),
        ("sqrt", &[dec(5, 2, "2.25")], "1.5"),
        ("sqrt", &[double("-1")], "!the square root of a negative number"),
        ("ln", &[double("1")], "0"),
        ("ln", &[double("0")], "!the logarithm of zero"),
        ("ln", &[double("-1")], "!the logarithm of a negative number"),
        ("log", &[double("1000")], "3"),
        ("log", &[double("2"), double("8")], "3"),
        ("log", &[double("10"), double("1000")], "3"),
        ("log", &[double("10"), double("0.001")], "-3"),
        ("log", &[double("10"), double("1e15")], "15"),
        ("log", &[double("5"), double("125")], "3"),
        ("log", &[double("3"), double("243")], "5"),
        ("log", &[double("0.5"), double("8")], "-3"),
        ("log", &[double("7"), double("1")], "0"),
        ("log", &[double("10"), double("1001")], "3.000434077479319"),
        ("log", &[double("2"), double("Infinity")], "Infinity"),
        ("log", &[double("NaN"), double("8")], "NaN"),
        ("log", &[double("1"), double("8")], "!division by zero"),
        ("log10", &[double("0.01")], "-2"),
        ("exp", &[double("0")], "1"),
        ("exp", &[double("710")], "!the result does not fit DOUBLE PRECISION"),
        ("exp", &[double("-800")], "!the result is too small for DOUBLE PRECISION"),
        ("exp", &[double("-Infinity")], "0"),
    ]);
}

#[test]
fn choosing_among_values() {
    check_calls(&[
        ("coalesce", &[integer("NULL"), integer("2"), integer("3")], "2"),
        ("coalesce", &[integer("NULL"), integer("NULL")], "NULL"),
        ("coalesce", &[integer("NULL"), dec(5, 2, "1.5")], "1.50"),
        ("coalesce", &[varchar("a"), varchar("NULL")], "a"),
        ("nullif", &[varchar("a"), varchar("a")], "NULL"),
        ("nullif", &[varchar("a"), varchar("b")], "a"),
        ("nullif", &[integer("1"), integer("NULL")], "1"),
        ("greatest", &[integer("1"), bigint("3"), integer("2")], "3"),
        ("greatest", &[integer("NULL"), integer("2"), integer("NULL")], "2"),
        ("least", &[double("1"), double("NaN")], "1"),
        ("greatest", &[double("1"), double("NaN")], "NaN"),
        ("least", &[varchar("b"), varchar("a"), varchar("NULL")], "a"),
        ("least", &[integer("NULL"), integer("NULL")], "NULL"),
    ]);
}

#[test]
fn hashes_are_xxh64_of_the_bytes() {
    let reference = |bytes: &[u8]| (xxhash_rust::xxh64::xxh64(bytes, 0) as i64).to_string();
    check_calls(&[
        ("hash", &[varchar("visa")], &reference(b"visa")),
        ("hash", &[operand(DataType::Bytea, "\\x0102")], &reference(&[1, 2])),
        ("hash", &[integer("7")], &reference(&7_i32.to_le_bytes())),
        ("hash", &[smallint("7")], &reference(&7_i16.to_le_bytes())),
        ("hash", &[bigint("7"), varchar("x")], &reference(&[7, 0, 0, 0, 0, 0, 0, 0, b'x'])),
        ("hash", &[double("-0")], &reference(&0_f64.to_le_bytes())),
        ("hash", &[boolean("true")], &reference(&[1])),
        ("hash", &[varchar("")], "-1205034819632174695"),
        ("hash", &[varchar("NULL"), integer("1")], "NULL"),
        ("hash", &[interval("1 mon")], &reference(&(30 * 86_400_000_000_000_i128).to_le_bytes())),
    ]);
    assert_eq!(eval(&[interval("1 mon")], |e| call("hash", e)), eval(&[interval("30 days")], |e| call("hash", e)));
}

#[test]
fn every_name_is_known_to_call() {
    for name in function_names() {
        let error = call(name, Vec::new()).unwrap_err();
        assert!(error.message.contains("argument"), "{name}: {error}");
    }
}
