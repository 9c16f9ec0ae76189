//! CAST and TRY_CAST.

use crate::support::*;
use raympp_operators::expr::{cast, implicit_cast};
use raympp_types::DataType::{self, *};

fn check(cases: &[(Operand, DataType, &str)]) {
    for (operand, to, expected) in cases {
        let found = eval(std::slice::from_ref(operand), |mut e| cast(e.remove(0), *to, false));
        assert_eq!(found, *expected, "{operand:?} AS {to}");
        let tried = eval(std::slice::from_ref(operand), |mut e| cast(e.remove(0), *to, true));
        assert_eq!(tried, if expected.starts_with('!') { "NULL" } else { *expected }, "TRY_CAST {operand:?} AS {to}");
    }
}

#[test]
fn numbers() {
    check(&[
        (integer("70000"), SmallInt, "!the result does not fit SMALLINT"),
        (bigint("-5"), SmallInt, "-5"),
        (integer("5"), decimal(3, 1), "5.0"),
        (integer("500"), decimal(3, 1), "!the result does not fit DECIMAL(3,1)"),
        (bigint("9007199254740993"), Double, "9.007199254740992e+15"),
        (double("2.5"), Integer, "2"),
        (double("3.5"), Integer, "4"),
        (double("-2.5"), Integer, "-2"),
        (double("2147483647.5"), Integer, "!2147483647.5 does not fit INTEGER"),
        (double("-2147483648.4"), Integer, "-2147483648"),
        (double("9223372036854775807"), BigInt, "!9.223372036854776e+18 does not fit BIGINT"),
        (double("NaN"), BigInt, "!NaN does not fit BIGINT"),
        (real("1.5"), SmallInt, "2"),
        (double("0.1"), decimal(20, 18), "0.100000000000000000"),
        (real("0.1"), decimal(20, 18), "0.100000000000000000"),
        (double("1e40"), decimal(38, 0), "!1e+40 does not fit DECIMAL(38,0)"),
        (double("Infinity"), decimal(38, 0), "!Infinity does not fit DECIMAL(38,0)"),
        (double("1e300"), Real, "!the result does not fit REAL"),
        (double("1e-300"), Real, "!the result is too small for REAL"),
        (double("Infinity"), Real, "Infinity"),
        (real("0.1"), Double, "0.10000000149011612"),
        (dec(5, 2, "2.50"), Integer, "3"),
        (dec(5, 2, "-2.50"), Integer, "-3"),
        (dec(38, 0, "9223372036854775808"), BigInt, "!the result does not fit BIGINT"),
        (dec(5, 2, "1.25"), decimal(3, 1), "1.3"),
        (dec(5, 2, "99.95"), decimal(3, 1), "!the result does not fit DECIMAL(3,1)"),
        (dec(5, 2, "1.25"), decimal(38, 37), "1.2500000000000000000000000000000000000"),
        (dec(38, 37, "0.1234567890123456789012345678901234567"), Double, "0.12345678901234568"),
        (dec(5, 2, "1.25"), Real, "1.25"),
        (boolean("true"), Integer, "1"),
        (integer("7"), Boolean, "true"),
        (integer("0"), Boolean, "false"),
        (bigint("1"), Boolean, "?BIGINT can't be cast to BOOLEAN"),
        (smallint("1"), Boolean, "?SMALLINT can't be cast to BOOLEAN"),
        (boolean("true"), BigInt, "?BOOLEAN can't be cast to BIGINT"),
        (boolean("true"), SmallInt, "?BOOLEAN can't be cast to SMALLINT"),
        (integer("NULL"), SmallInt, "NULL"),
    ]);
}

#[test]
fn text() {
    check(&[
        (varchar(" 42 "), Integer, "42"),
        (varchar("4x"), Integer, "!'4x' is not INTEGER: expected a whole number"),
        (varchar("2147483648"), Integer, "!'2147483648' is not INTEGER: it is out of range, expected -2147483648 to 2147483647"),
        (varchar("1e2"), Double, "100"),
        (varchar("1.005"), decimal(5, 2), "1.01"),
        (varchar("yes"), Boolean, "true"),
        (varchar("maybe"), Boolean, "!'maybe' is not BOOLEAN: expected true or false"),
        (varchar("2013-01-01T10:00:00Z"), Timestamp, "2013-01-01 10:00:00.000000"),
        (
            varchar("2013-02-30"),
            Date,
            "!'2013-02-30' is not DATE: it is out of range, expected a day and time of the calendar between 290309 BC and 294247",
        ),
        (varchar("1 day"), Interval, "1 day"),
        (varchar("\\x6869"), Bytea, "\\x6869"),
        (boolean("false"), Varchar, "false"),
        (double("1e20"), Varchar, "1e+20"),
        (dec(5, 2, "-0.05"), Varchar, "-0.05"),
        (date("0044-03-15 BC"), Varchar, "0044-03-15 BC"),
        (operand(TimestampTz, "2013-01-01 00:00:00"), Varchar, "2013-01-01 00:00:00.000000+00"),
        (interval("36:00:00"), Varchar, "36:00:00"),
        (operand(Bytea, "\\x00FF"), Varchar, "\\x00ff"),
        (varchar("NULL"), Integer, "NULL"),
    ]);
}

#[test]
fn times() {
    check(&[
        (date("2013-01-01"), Timestamp, "2013-01-01 00:00:00.000000"),
        (date("1000000-01-01"), Timestamp, "!the result does not fit TIMESTAMP"),
        (timestamp("1969-12-31 23:59:59"), Date, "1969-12-31"),
        (timestamp("2013-01-01 10:00:00"), TimestampTz, "2013-01-01 10:00:00.000000+00"),
        (operand(TimestampTz, "2013-01-01 10:00:00+02"), Timestamp, "2013-01-01 08:00:00.000000"),
    ]);
}

#[test]
fn implicit_casts_only_widen() {
    let types = [Boolean, SmallInt, Integer, BigInt, decimal(38, 0), decimal(20, 2), Real, Double, Varchar, Date, Timestamp, TimestampTz];
    let widens = |from: DataType, to: DataType| {
        let number = |t: DataType| t.is_numeric();
        let order = |t: DataType| types.iter().position(|&other| other == t);
        match (from, to) {
            _ if from == to => true,
            // Neither holds all of the other.
            (DataType::Decimal { .. }, DataType::Decimal { .. }) => from == decimal(20, 2) && to == decimal(38, 2),
            (BigInt, to) if to == decimal(20, 2) => false,
            (Date, Timestamp | TimestampTz) | (Timestamp, TimestampTz) => true,
            _ => number(from) && number(to) && order(from) < order(to),
        }
    };
    for from in types {
        for to in types {
            let column = raympp_operators::expr::Expr::column(0, "c", from);
            assert_eq!(implicit_cast(column, to).is_ok(), widens(from, to), "{from} as {to}");
        }
    }
}
