//! Arithmetic, comparison, logic, patterns.

use crate::support::*;
use raympp_operators::expr::BinaryOp::*;
use raympp_operators::expr::{Expr, between, binary, in_list, is_distinct_from, is_false, is_null, is_true, is_unknown, like, negate, not};
use raympp_types::{DataType, Value};

#[test]
fn integers_are_checked() {
    check_operators(&[
        (integer("2"), Add, integer("3"), "5"),
        (smallint("32767"), Add, smallint("1"), "!the result does not fit SMALLINT"),
        (smallint("32767"), Add, integer("1"), "32768"),
        (integer("2147483647"), Add, integer("1"), "!the result does not fit INTEGER"),
        (integer("2147483647"), Add, bigint("1"), "2147483648"),
        (bigint("9223372036854775807"), Add, bigint("1"), "!the result does not fit BIGINT"),
        (bigint("-9223372036854775808"), Subtract, bigint("1"), "!the result does not fit BIGINT"),
        (bigint("3037000500"), Multiply, bigint("3037000500"), "!the result does not fit BIGINT"),
        (bigint("-4"), Multiply, bigint("5"), "-20"),
        (integer("7"), Divide, integer("2"), "3"),
        (integer("-7"), Divide, integer("2"), "-3"),
        (integer("7"), Divide, integer("0"), "!division by zero"),
        (integer("-2147483648"), Divide, integer("-1"), "!the result does not fit INTEGER"),
        (integer("-7"), Modulo, integer("3"), "-1"),
        (integer("7"), Modulo, integer("-3"), "1"),
        (integer("7"), Modulo, integer("0"), "!division by zero"),
        (bigint("-9223372036854775808"), Modulo, bigint("-1"), "0"),
        (integer("NULL"), Add, integer("1"), "NULL"),
        (integer("NULL"), Divide, integer("0"), "NULL"),
        (integer("1"), Divide, integer("NULL"), "NULL"),
    ]);
}

#[test]
fn decimals_are_exact() {
    let widest = "99999999999999999999999999999999999999";
    check_operators(&[
        (dec(5, 2, "1.25"), Add, dec(6, 3, "0.005"), "1.255"),
        (dec(5, 2, "1.25"), Subtract, integer("2"), "-0.75"),
        (dec(5, 2, "-1.25"), Multiply, dec(5, 2, "0.50"), "-0.6250"),
        (dec(5, 2, "999.99"), Add, dec(5, 2, "999.99"), "1999.98"),
        (dec(38, 0, widest), Add, integer("1"), "!the result does not fit DECIMAL(38,0)"),
        (dec(38, 0, widest), Multiply, dec(1, 0, "1"), widest),
        (dec(38, 0, widest), Multiply, dec(1, 0, "2"), "!the result does not fit DECIMAL(38,0)"),
        (dec(38, 0, widest), Subtract, dec(38, 38, "0.1"), "!the result does not fit DECIMAL(38,38)"),
        (dec(5, 2, "1.00"), Divide, dec(5, 2, "3.00"), "0.3333333333333333"),
        (dec(5, 2, "1.00"), Divide, dec(5, 2, "0.00"), "!division by zero"),
        (dec(5, 2, "-7.50"), Modulo, dec(5, 1, "2.0"), "-1.50"),
        (dec(5, 2, "7.50"), Modulo, integer("0"), "!division by zero"),
        (dec(38, 0, widest), Modulo, dec(38, 38, "0.00000000000000000000000000000000000007"), "0.00000000000000000000000000000000000002"),
        (dec(5, 2, "NULL"), Multiply, dec(5, 2, "1.00"), "NULL"),
        (dec(5, 2, "1.50"), Multiply, double("2"), "3"),
    ]);
}

#[test]
fn floats_follow_ieee_but_for_overflow() {
    check_operators(&[
        (double("0.1"), Add, double("0.2"), "0.30000000000000004"),
        (real("0.1"), Add, real("0.2"), "0.3"),
        (real("0.5"), Add, double("0.25"), "0.75"),
        (real("0.5"), Add, integer("1"), "1.5"),
        (double("1e308"), Add, double("1e308"), "!the result does not fit DOUBLE PRECISION"),
        (double("1e308"), Multiply, double("10"), "!the result does not fit DOUBLE PRECISION"),
        (double("1e-300"), Multiply, double("1e-300"), "!the result is too small for DOUBLE PRECISION"),
        (double("1e-300"), Divide, double("1e300"), "!the result is too small for DOUBLE PRECISION"),
        (double("0"), Multiply, double("1e-300"), "0"),
        (double("1"), Divide, double("0"), "!division by zero"),
        (double("NaN"), Divide, double("0"), "NaN"),
        (double("1"), Divide, double("Infinity"), "0"),
        (double("Infinity"), Subtract, double("Infinity"), "NaN"),
        (double("-Infinity"), Add, double("1"), "-Infinity"),
        (real("3e38"), Add, real("3e38"), "!the result does not fit REAL"),
        (double("NULL"), Divide, double("0"), "NULL"),
    ]);
}

#[test]
fn unary_minus() {
    for (operand, expected) in [
        (integer("5"), "-5"),
        (smallint("-32768"), "!the result does not fit SMALLINT"),
        (bigint("-9223372036854775808"), "!the result does not fit BIGINT"),
        (double("0"), "-0"),
        (dec(5, 2, "1.20"), "-1.20"),
        (interval("1 mon -2 days 03:00:00"), "-1 mons +2 days -03:00:00"),
        (integer("NULL"), "NULL"),
    ] {
        assert_eq!(eval(std::slice::from_ref(&operand), |mut operands| negate(operands.remove(0))), expected, "{operand:?}");
    }
}

#[test]
fn comparisons() {
    check_operators(&[
        (integer("1"), Lt, bigint("2"), "true"),
        (smallint("1"), Eq, dec(5, 2, "1.00"), "true"),
        (smallint("-32768"), GtEq, integer("-32768"), "true"),
        (smallint("32767"), Lt, integer("32768"), "true"),
        (smallint("-1"), NotEq, bigint("65535"), "true"),
        (integer("-1"), NotEq, bigint("4294967295"), "true"),
        (integer("7"), LtEq, bigint("6"), "false"),
        (smallint("NULL"), Eq, integer("1"), "NULL"),
        (smallint("1"), Eq, integer("NULL"), "NULL"),
        (dec(38, 38, "0.5"), Lt, dec(38, 0, "1"), "true"),
        (dec(38, 38, "-0.5"), Gt, dec(38, 0, "-99999999999999999999999999999999999999"), "true"),
        (dec(38, 0, "0"), Eq, dec(38, 38, "0"), "true"),
        (dec(38, 0, "1"), Eq, dec(38, 37, "1"), "true"),
        (dec(5, 2, "1.25"), Eq, double("1.25"), "true"),
        (double("NaN"), Eq, double("NaN"), "true"),
        (double("NaN"), Gt, double("Infinity"), "true"),
        (double("NaN"), LtEq, double("1"), "false"),
        (double("1"), NotEq, double("NaN"), "true"),
        (double("-0"), Eq, double("0"), "true"),
        (double("-0"), Lt, double("0"), "false"),
        (real("NaN"), GtEq, real("NaN"), "true"),
        (real("0.1"), Eq, double("0.1"), "false"),
        (varchar("a"), Lt, varchar("b"), "true"),
        (varchar("Z"), Lt, varchar("a"), "true"),
        (varchar("a"), Lt, varchar("ä"), "true"),
        (varchar(""), Lt, varchar("a"), "true"),
        (boolean("false"), Lt, boolean("true"), "true"),
        (date("2013-01-02"), Gt, timestamp("2013-01-01 23:59:59"), "true"),
        (timestamp("2013-01-01 00:00:00"), Eq, operand(DataType::TimestampTz, "2013-01-01 01:00:00+01"), "true"),
        (interval("1 mon"), Eq, interval("30 days"), "true"),
        (interval("1 day"), Lt, interval("24:00:01"), "true"),
        (operand(DataType::Bytea, "\\x00ff"), Lt, operand(DataType::Bytea, "\\x01"), "true"),
        (integer("NULL"), Eq, integer("NULL"), "NULL"),
        (varchar("a"), NotEq, varchar("NULL"), "NULL"),
        (double("NULL"), Lt, double("1"), "NULL"),
    ]);
}

#[test]
fn three_valued_logic() {
    let [t, f, n] = ["true", "false", "NULL"].map(boolean);
    for (left, right, and, or) in [
        (&t, &t, "true", "true"),
        (&t, &f, "false", "true"),
        (&t, &n, "NULL", "true"),
        (&f, &f, "false", "false"),
        (&f, &n, "false", "NULL"),
        (&n, &n, "NULL", "NULL"),
        (&n, &f, "false", "NULL"),
        (&n, &t, "NULL", "true"),
        (&f, &t, "false", "true"),
    ] {
        check_operators(&[(left.clone(), And, right.clone(), and), (left.clone(), Or, right.clone(), or)]);
    }
}

#[test]
fn tests_of_truth_and_null() {
    type Test = fn(Expr, bool) -> Built;
    let tests: [Test; 4] = [is_null, is_true, is_false, is_unknown];
    for (value, expected) in
        [("true", [false, true, false, false]), ("false", [false, false, true, false]), ("NULL", [true, false, false, true])]
    {
        for (test, expected) in tests.iter().zip(expected) {
            for negated in [false, true] {
                let found = eval(&[boolean(value)], |mut operands| test(operands.remove(0), negated));
                assert_eq!(found, (expected != negated).to_string(), "{value}, {negated}");
            }
        }
    }
    for (value, expected) in [("true", "false"), ("false", "true"), ("NULL", "NULL")] {
        assert_eq!(eval(&[boolean(value)], |mut operands| not(operands.remove(0))), expected);
    }
}

#[test]
fn distinct_from_treats_null_as_a_value() {
    for (left, right, distinct) in [
        (integer("1"), integer("1"), "false"),
        (integer("1"), integer("2"), "true"),
        (integer("1"), integer("NULL"), "true"),
        (integer("NULL"), integer("NULL"), "false"),
        (double("NaN"), double("NaN"), "false"),
        (varchar("a"), varchar("NULL"), "true"),
        (varchar("a"), varchar("a"), "false"),
        (dec(38, 0, "1"), dec(38, 38, "0"), "true"),
    ] {
        for negated in [false, true] {
            let found = eval(&[left.clone(), right.clone()], |mut operands| {
                let right = operands.remove(1);
                is_distinct_from(operands.remove(0), right, negated)
            });
            assert_eq!(found, if negated { (distinct == "false").to_string() } else { distinct.to_owned() }, "{left:?} {right:?}");
        }
    }
}

#[test]
fn between_and_in() {
    let cases: [(&[Operand], &str, &str); 7] = [
        (&[integer("5"), integer("1"), integer("9")], "true", "false"),
        (&[integer("1"), integer("1"), integer("9")], "true", "true"),
        (&[integer("9"), integer("1"), integer("9")], "true", "true"),
        (&[integer("0"), integer("1"), integer("NULL")], "false", "NULL"),
        (&[integer("5"), integer("1"), integer("NULL")], "NULL", "NULL"),
        (&[varchar("b"), varchar("a"), varchar("c")], "true", "false"),
        (&[integer("NULL"), integer("1"), integer("NULL")], "NULL", "NULL"),
    ];
    let opposite = |truth: &str| match truth {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        other => other.to_owned(),
    };
    for (operands, in_range, in_both) in cases {
        for negated in [false, true] {
            let shown = |truth: &str| if negated { opposite(truth) } else { truth.to_owned() };
            let found = eval(operands, |e| between(e[0].clone(), e[1].clone(), e[2].clone(), negated));
            assert_eq!(found, shown(in_range), "{operands:?}");
            let found = eval(operands, |e| in_list(e[0].clone(), e[1..].to_vec(), negated));
            assert_eq!(found, shown(in_both), "{operands:?}");
        }
    }
}

#[test]
fn like_patterns() {
    for (text, pattern, expected) in [
        ("SUCCESS", "SUCCESS", true),
        ("SUCCESS", "SUCC%", true),
        ("SUCCESS", "%CESS", true),
        ("SUCCESS", "%CC%", true),
        ("SUCCESS", "S_CC_SS", true),
        ("SUCCESS", "success", false),
        ("SUCCESS", "%_SUCCESS", false),
        ("", "%", true),
        ("", "_", false),
        ("", "", true),
        ("é", "_", true),
        ("a%b", "a\\%b", true),
        ("axb", "a\\%b", false),
        ("a\\b", "a\\\\b", true),
        ("aXbXc", "%X%X%", true),
        ("line\nbreak", "line%", true),
        ("abab", "%ab", true),
        ("aab", "a%ab", true),
    ] {
        for negated in [false, true] {
            let found = eval(&[varchar(text), varchar(pattern)], |e| like(e[0].clone(), e[1].clone(), None, false, negated));
            assert_eq!(found, (expected != negated).to_string(), "{text:?} LIKE {pattern:?}");
        }
    }
    let like_with = |escape, insensitive| move |e: Vec<Expr>| like(e[0].clone(), e[1].clone(), escape, insensitive, false);
    assert_eq!(eval(&[varchar("50%"), varchar("50!%")], like_with(Some('!'), false)), "true");
    assert_eq!(eval(&[varchar("50\\"), varchar("50\\")], like_with(Some('\0'), false)), "true");
    assert_eq!(eval(&[varchar("ÄPFEL"), varchar("äpf%")], like_with(None, true)), "true");
    assert_eq!(eval(&[varchar("NULL"), varchar("%")], like_with(None, false)), "NULL");
    assert_eq!(eval(&[varchar("a"), varchar("NULL")], like_with(None, false)), "NULL");
}

#[test]
fn a_pattern_in_a_column_may_be_bad_in_some_rows() {
    let columns = [array(DataType::Varchar, &["a", "a", "a"]), array(DataType::Varchar, &["a", "a\\", "b"])];
    let [text, pattern] = [0, 1].map(|i| Expr::column(i, "c", DataType::Varchar));
    let expr = like(text.clone(), pattern.clone(), None, false, false).unwrap();
    assert_eq!(column_of(&expr, &columns), "true, !, false");
    let columns = [columns[0].clone(), array(DataType::Varchar, &["^a$", "(", "[^a]"])];
    let expr = binary(Regex, text, pattern).unwrap();
    assert_eq!(column_of(&expr, &columns), "true, !, false");
}

#[test]
fn regular_expressions() {
    check_operators(&[
        (varchar("visa-42"), Regex, varchar("^visa-[0-9]+$"), "true"),
        (varchar("VISA-42"), Regex, varchar("visa"), "false"),
        (varchar("VISA-42"), RegexInsensitive, varchar("visa"), "true"),
        (varchar("VISA-42"), NotRegex, varchar("visa"), "true"),
        (varchar("VISA-42"), NotRegexInsensitive, varchar("visa"), "false"),
        (varchar("NULL"), Regex, varchar("a"), "NULL"),
    ]);
}

#[test]
fn regular_expressions_are_postgresqls() {
    for (text, pattern, expected) in [
        // A newline is a character like any other, and lines are nothing special.
        ("a\nb", "a.b", "true"),
        ("a\nb", "^b", "false"),
        ("a\nb", "a$", "false"),
        ("a\nb", "a[^x]b", "true"),
        ("a\nb", "(?n)a.b", "false"),
        ("a\nb", "(?n)a[^x]b", "false"),
        ("a\nb", "(?n)a\\Wb", "true"),
        ("a\nb", "(?n)^b$", "true"),
        ("a\nb", "(?p)^b", "false"),
        ("a\nb", "(?w)a.b$", "true"),
        ("a\n", "a$", "false"),
        // In brackets these are characters, not set operations.
        ("&", "^[a-c&&b]$", "true"),
        ("a", "^[a-c&&b]$", "true"),
        ("~", "^[a~~b]$", "true"),
        ("[", "^[a[]$", "true"),
        ("[", "^[[a]$", "true"),
        ("a]", "^[[a]]$", "true"),
        ("-", "^[a-]$", "true"),
        ("-", "^[-a]$", "true"),
        (",", "^[+--]$", "true"),
        ("]", "^[]a]$", "true"),
        ("b", "^[^]a]$", "true"),
        ("^", "^[a^]$", "true"),
        (".", "^[[.-.][.period.]]$", "!'^[[.-.][.period.]]$' is not a valid pattern: invalid collating element"),
        ("e", "^[[=e=][.-.]]$", "true"),
        ("b", "^[\\w]$", "true"),
        ("5", "^[^\\D]$", "true"),
        ("\\", "^[\\\\]$", "true"),
        ("a", "^[a-c-e]$", "!'^[a-c-e]$' is not a valid pattern: invalid character range"),
        ("a", "[c-a]", "!'[c-a]' is not a valid pattern: invalid character range"),
        ("a", "[a", "!'[a' is not a valid pattern: brackets [] not balanced"),
        // Classes.
        ("é", "^[[:alpha:]]$", "true"),
        ("É", "^[[:lower:]]$", "false"),
        ("_", "^[[:alnum:]]$", "false"),
        ("$", "^[[:punct:]]$", "true"),
        ("٣", "^\\d$", "false"),
        ("\u{a0}", "^[[:blank:][:cntrl:]]$", "true"),
        ("x", "[[:letter:]]", "!'[[:letter:]]' is not a valid pattern: invalid character class"),
        // Words.
        ("a cat sat", "\\mcat\\M", "true"),
        ("concat", "\\mcat\\M", "false"),
        ("concat", "cat[[:>:]]", "true"),
        ("concat", "[[:<:]]cat", "false"),
        ("concat", "\\ycat", "false"),
        ("concat", "\\Ycat\\y", "true"),
        ("cat", "\\Acat\\Z", "true"),
        // Escapes.
        ("a\tb", "a\\tb", "true"),
        ("a\\b", "^a\\Bb$", "true"),
        ("A", "^\\x41$", "true"),
        ("é", "^\\u00e9$", "true"),
        ("A", "^\\101$", "true"),
        ("\u{1}", "^\\cA$", "true"),
        ("a.b#c", "^a\\.b\\#c$", "true"),
        ("a", "\\q", "!'\\q' is not a valid pattern: invalid escape \\ sequence"),
        ("a", "a\\", "!'a\\' is not a valid pattern: invalid escape \\ sequence"),
        // Quantifiers and braces.
        ("a{b", "^a{b$", "true"),
        ("a}", "^a}$", "true"),
        ("aaa", "^a{2,3}?$", "true"),
        ("aaa", "^a{4,}$", "false"),
        ("a", "a{3,2}", "!'a{3,2}' is not a valid pattern: invalid repetition count(s)"),
        ("a", "a{256}", "!'a{256}' is not a valid pattern: invalid repetition count(s)"),
        ("a", "a**", "!'a**' is not a valid pattern: quantifier operand invalid"),
        ("a", "^*", "!'^*' is not a valid pattern: quantifier operand invalid"),
        ("a", "(|x)a|+", "!'(|x)a|+' is not a valid pattern: quantifier operand invalid"),
        ("a", "(?:a|b)+(?#really)c?", "true"),
        ("a", "(a", "!'(a' is not a valid pattern: parentheses () not balanced"),
        ("a", "a)", "!'a)' is not a valid pattern: parentheses () not balanced"),
        ("a", "a(?i)b", "!'a(?i)b' is not a valid pattern: quantifier operand invalid"),
        // Options.
        ("A", "(?i)a", "true"),
        ("a.c", "***=a.c", "true"),
        ("abc", "***=a.c", "false"),
        ("abc", "***:a.c", "true"),
        ("a+", "(?q)a+", "true"),
        ("a", "(?x)a", "!'(?x)a' is not a valid pattern: the option x is not supported"),
        // What no automaton does.
        ("aa", "(a)\\1", "!'(a)\\1' is not a valid pattern: back-references are not supported"),
        ("ab", "a(?=b)", "!'a(?=b)' is not a valid pattern: looking ahead, (?=…) and (?!…), is not supported"),
        ("ab", "(?<!a)b", "!'(?<!a)b' is not a valid pattern: looking behind, (?<=…) and (?<!…), is not supported"),
        (
            "a",
            "((((a{255}){255}){255}){255})",
            "!'((((a{255}){255}){255}){255})' is not a valid pattern: regular expression is too complex",
        ),
    ] {
        let [in_column, as_literal] = [2, 1].map(|columns| over_columns(&[varchar(text), varchar(pattern)], columns, &op(Regex)));
        assert_eq!(in_column, expected, "{text:?} ~ {pattern:?}");
        // A literal pattern is refused with the script.
        let refused = |reason: &str| reason.replacen("is not a valid pattern", "is not a regular expression", 1).replacen('!', "?", 1);
        assert_eq!(as_literal, refused(expected), "{text:?} ~ {pattern:?}");
    }
    check_operators(&[
        (varchar("A"), RegexInsensitive, varchar("(?c)a"), "false"),
        (varchar("É"), RegexInsensitive, varchar("^[é]$"), "true"),
        (varchar("a"), RegexInsensitive, varchar("^[[:upper:]]$"), "true"),
    ]);
}

#[test]
fn concatenation_is_null_if_either_side_is() {
    check_operators(&[
        (varchar("a"), Concat, varchar("b"), "ab"),
        (varchar("a"), Concat, varchar("NULL"), "NULL"),
        (varchar("n="), Concat, integer("5"), "n=5"),
        (boolean("true"), Concat, varchar("!"), "true!"),
        (operand(DataType::Bytea, "\\x01"), Concat, operand(DataType::Bytea, "\\x02"), "\\x0102"),
    ]);
}

#[test]
fn string_literals_take_the_type_of_their_surroundings() {
    let time = Expr::column(0, "t", DataType::Timestamp);
    let after = binary(GtEq, time, Expr::literal(Value::from("2013-01-01"))).unwrap();
    assert_eq!(after.to_string(), "t >= TIMESTAMP '2013-01-01 00:00:00.000000'");
    let amount = Expr::column(0, "amount", decimal(18, 2));
    let never = binary(Eq, amount, Expr::literal(Value::from("1.005"))).unwrap();
    assert_eq!(column_of(&never, &[array(decimal(18, 2), &["1.00", "1.01"])]), "false, false");
}
