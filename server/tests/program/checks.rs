//! Mistakes that the text of a script shows: found by `check` and `run` alike, with line and column, before anything happens.

use super::support::{Directory, raympp};

/// Runs `check` and `run` on a script: exit code, and what each says on standard error.
fn both(directory: &Directory, sql: &str) -> [(i32, String); 2] {
    let script = directory.write("script.sql", sql);
    [&["check", &script][..], &["run", &script, "--plain"]].map(|args| {
        let output = raympp(args);
        (output.code, output.stderr)
    })
}

const STREAM: &str = "CREATE STREAM p (channel VARCHAR, event_time TIMESTAMP) WITH (connector = 'payments', rows = 10);";
const METRIC: &str = "CREATE METRIC m AS SELECT channel, COUNT(*) AS c FROM TUMBLE(p, event_time, INTERVAL '1 second')
  GROUP BY channel, window_start, window_end;";

#[test]
fn mistakes_in_the_text_have_a_place_in_it() {
    let directory = Directory::new("mistakes");
    let out = directory.text("out");
    let sink = |name: &str, options: &str| format!("CREATE SINK {name} FROM m WITH (connector = 'file', {options});");
    let scripts = [
        (
            "CREATE STREAM p (\n  channel VARCHAR, nosuch BIGINT, event_time TIMESTAMP\n) WITH (connector = 'payments', rows = 10);"
                .to_owned(),
            "line 2, column 20: connector 'payments' has no column nosuch BIGINT; it has payment_id BIGINT",
        ),
        (
            "CREATE STREAM b (auction VARCHAR) WITH (connector = 'nexmark', table = 'bid', rows = 10);".to_owned(),
            "line 1, column 18: this table of connector 'nexmark' has no column auction VARCHAR",
        ),
        (
            format!("{}\n{METRIC}\nSELECT c\nFROM m;", STREAM.replace(", rows = 10", "")),
            "line 5, column 6: SELECT from m would be answered when stream p ends, but that never ends",
        ),
        (
            format!("CREATE STREAM p (channel VARCHAR, event_time TIMESTAMP);\n{METRIC}\nSELECT c FROM m;"),
            "line 4, column 15: SELECT from m would be answered when stream p ends",
        ),
        (
            "CREATE STREAM p (k VARCHAR) WITH (connector = 'file', path = 'in.csv', format = 'parquet', follow = true);".to_owned(),
            "line 1, column 101: a parquet file can't be followed",
        ),
        (
            format!("{STREAM}\n{METRIC}\n{}", sink("s", "format = 'csv'")),
            "line 4, column 13: connector 'file' of a sink needs the option \"path\"",
        ),
        (
            format!("{STREAM}\n{METRIC}\n{}", sink("s", "path = 'x', format = 'xml'")),
            "line 4, column 69: option \"format\" cannot be 'xml'",
        ),
        (
            format!("{STREAM}\n{METRIC}\n{}", sink("s", "path = 'x', roll = 'often'")),
            "line 4, column 67: option \"roll\" cannot be 'often'",
        ),
        (
            format!("{STREAM}\n{METRIC}\n{}\n{}", sink("one", &format!("path = '{out}'")), sink("two", &format!("path = '{out}/.'"))),
            "line 5, column 57: sink one writes into ",
        ),
    ];
    for (sql, expected) in scripts {
        for (code, said) in both(&directory, &sql) {
            assert!(code == 2 && said.contains("script.sql: error at ") && said.contains(expected), "{code} {said}\n{expected}");
        }
        assert!(!std::fs::exists(&out).expect("readable"));
    }
}

#[test]
fn a_format_that_no_name_tells_is_a_mistake_in_the_text() {
    let directory = Directory::new("no-format");
    let path = directory.write("data", "k\na\n");
    for (code, said) in both(&directory, &format!("CREATE STREAM p (k VARCHAR)\nWITH (connector = 'file', path = '{path}');")) {
        assert!(code == 2 && said.contains("error at line 2, column 34: ") && said.contains("the format can't be told"), "{code} {said}");
    }
}

#[test]
fn what_is_missing_on_this_machine_is_a_warning_of_check() {
    let directory = Directory::new("warnings");
    let file = directory.write("a-file", "");
    let (missing, pattern) = (directory.text("missing.csv"), directory.text("*.jsonl"));
    for (sql, expected) in [
        (format!("CREATE STREAM p (k VARCHAR)\nWITH (connector = 'file', path = '{missing}');"), "the file does not exist"),
        (format!("CREATE STREAM p (k VARCHAR) WITH (connector = 'file', path = '{pattern}');"), "no file matches"),
        (
            format!("{STREAM}{METRIC}CREATE SINK s FROM m WITH (connector = 'file', path = '{file}');"),
            "writes into a directory, and this is a file",
        ),
        (
            "CREATE STREAM p (k VARCHAR) WITH (bad_rows = 'dead_letter:/no/such/x');".to_owned(),
            "the dead-letter file /no/such/x can't be opened",
        ),
    ] {
        let [(checked, warning), (run, error)] = both(&directory, &sql);
        assert!(checked == 0 && warning.contains("script.sql: warning at line ") && warning.contains(expected), "{checked} {warning}");
        assert!(run == 1 && error.contains(expected), "{run} {error}");
    }
}
