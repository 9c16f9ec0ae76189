//! The `raympp` program as somebody at a terminal sees it: exit codes, what it prints, what it does with awkward files.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    mod checkpoints;
    mod checks;
    mod output;
    pub(crate) mod support;
}

use program::support::{Directory, Output, raympp};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const METRIC: &str = "CREATE METRIC m AS SELECT k, window_start, window_end, COUNT(*) AS c, SUM(n) AS s, MAX(d) AS d, MIN(LENGTH(k)) AS l
FROM TUMBLE(s, t, INTERVAL '1 second') GROUP BY k, window_start, window_end;";

/// A script that reads `input` and writes closed windows to `out`, sorted.
fn script(directory: &Directory, input: &str, options: &str) -> String {
    let sql = format!(
        "CREATE STREAM s (k VARCHAR, n BIGINT, d DECIMAL(38,4), t TIMESTAMP, WATERMARK FOR t AS t)
         WITH (connector = 'file', path = '{}'{options});
         {METRIC}
         CREATE SINK out FROM m WITH (connector = 'file', path = '{}', format = 'csv', sorted = true);",
        directory.text(input),
        directory.text("out"),
    );
    directory.write("script.sql", sql)
}

fn run(directory: &Directory, input: &str, options: &str) -> Output {
    raympp(&["run", &script(directory, input, options), "--plain", "--threads", "2", "--metrics-file", &directory.text("counters.json")])
}

fn counters(directory: &Directory) -> serde_json::Value {
    let counters: serde_json::Value = serde_json::from_str(&directory.read("counters.json")).expect("JSON");
    counters["streams"][0].clone()
}

#[test]
fn usage_and_sql_errors_exit_with_2() {
    let directory = Directory::new("usage");
    let wrong = directory.write("wrong.sql", "CREATE STREAM s (k VARCHAR);\nCREATE METRIC m AS SELECT nothing FROM s;");
    let missing = directory.text("no-such.sql");
    for args in [&["run", &wrong][..], &["check", &wrong], &["explain", &wrong]] {
        let output = raympp(args);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{args:?}");
        assert!(output.stderr.contains("wrong.sql: ") && output.stderr.contains("line 2, column 27"), "{}", output.stderr);
    }
    for args in [&["run", &missing][..], &["check", &missing], &["explain", &missing]] {
        let output = raympp(args);
        assert!(output.code == 2 && output.stderr.contains("no-such.sql"), "{output:?}");
    }
    for args in [&["run"][..], &["dance"], &["demo", "--for", "1 fortnight"], &["run", &wrong, "--threads", "0"]] {
        assert_eq!(raympp(args).code, 2, "{args:?}");
    }
    assert_eq!(raympp(&["--help"]).code, 0);
}

/// Whoever reads the message knows which file or option it is about, what is wrong with it and what to do.
#[test]
fn usage_errors_name_the_place_and_the_remedy() {
    let directory = Directory::new("remedies");
    directory.write("in.csv", "k,n,d,t\n");
    let right = script(&directory, "in.csv", "");
    let latin = directory.write("latin.sql", b"CREATE STREAM s (\n  caf\xe9 VARCHAR\n);");
    let folder = directory.text("folder");
    std::fs::create_dir(&folder).unwrap();
    let missing = directory.text("missing.sql");
    let no_place = directory.text("nowhere/counters.json");
    let cases: [(&[&str], String); 7] = [
        (&["check", &latin], format!("raympp: the script {latin}: line 2 is not UTF-8 text; save the script as UTF-8\n")),
        (&["run", &folder], format!("raympp: the script {folder}: this is a directory; name a file of SQL statements\n")),
        (
            &["explain", &missing],
            format!("raympp: the script {missing}: there is no such file; relative paths start at the working directory\n"),
        ),
        (
            &["run", &right, "--metrics-file", &no_place],
            format!(
                "raympp: the metrics file {no_place} can't be written: No such file or directory (os error 2); check its directory and \
                 permissions\n"
            ),
        ),
        (&["run", &right, "--threads", "0"], "raympp: threads must be from 1 to 1024, not 0\n".to_owned()),
        (&["run", &right, "--partitions", "100000"], "raympp: partitions must be from 1 to 65536, not 100000\n".to_owned()),
        (&["run", &right, "--replicas", "3"], "raympp: replicas must be from 1 to 2, not 3\n".to_owned()),
    ];
    for (args, expected) in cases {
        let output = raympp(args);
        assert_eq!((output.code, output.stdout.as_str(), output.stderr), (2, "", expected), "{args:?}");
    }
    assert!(!std::path::Path::new(&directory.text("out")).exists(), "nothing has run");
}

#[test]
fn scripts_are_checked_and_explained_without_being_run() {
    let directory = Directory::new("explain");
    let script = script(&directory, "not-there.csv", "");
    let checked = raympp(&["check", &script]);
    assert_eq!((checked.code, checked.stdout.trim_end().rsplit('/').next()), (0, Some("script.sql: no errors")));
    let explained = raympp(&["explain", &script]);
    assert!(explained.code == 0 && explained.stdout.starts_with("metric m\n"), "{explained:?}");
    assert!(explained.stdout.contains("  window       TUMBLE size 00:00:01\n"), "{}", explained.stdout);
    assert!(!std::path::Path::new(&directory.text("out")).exists(), "nothing has run");
}

#[test]
fn a_run_writes_results_answers_and_counters() {
    let directory = Directory::new("run");
    directory.write(
        "in.csv",
        "k,n,d,t\na,1,1.5,2024-01-01 00:00:00\na,x,1.5,2024-01-01 00:00:00\nb,2,,2024-01-01 00:00:05\na,3,2,2024-01-01 00:00:04\n",
    );
    let file = script(&directory, "in.csv", "");
    let select = format!("{}\nSELECT k, c FROM m WHERE live; SHOW METRICS;", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, select).unwrap();
    let output = raympp(&["run", &file, "--plain", "--metrics-file", &directory.text("counters.json")]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("m\n") && output.stdout.contains("b  1"), "{}", output.stdout);
    assert!(
        output.stderr.contains("4 rows") && output.stderr.contains("late 1   bad 1   bad for metrics 0   windows closed 2"),
        "{}",
        output.stderr
    );
    let line = |k: &str, at: &str, rest: &str| format!("{k},2024-01-01 00:00:0{at}.000000,{rest}");
    assert_eq!(
        directory.csv_lines("out"),
        [line("a", "0", "2024-01-01 00:00:01.000000,1,1,1.5000,1"), line("b", "5", "2024-01-01 00:00:06.000000,1,2,,1")]
    );
    let counters = counters(&directory);
    assert_eq!([&counters["rows"], &counters["late"], &counters["bad"], &counters["windows_closed"]], [4, 1, 1, 2]);
    assert_eq!((&counters["name"], &counters["complete"]), (&"s".into(), &true.into()));
    let again = raympp(&["run", &file, "--plain"]);
    assert!(again.code == 1 && again.stderr.contains("parts of an earlier run"), "{again:?}");
}

#[test]
fn inputs_that_can_not_be_read_exit_with_1() {
    let directory = Directory::new("unreadable");
    std::fs::create_dir(directory.text("a-directory")).unwrap();
    for (input, expected) in [("missing.csv", "does not exist"), ("a-directory", "this is a directory"), ("none-*.csv", "no file matches")]
    {
        let output = run(&directory, input, ", format = 'csv'");
        assert!(output.code == 1 && output.stderr.contains(expected) && output.stderr.contains("stream s"), "{output:?}");
        assert!(output.stdout.is_empty() && directory.csv_lines("out").is_empty(), "{output:?}");
    }
    directory.write("no-column.csv", "k,n,t\n");
    let output = run(&directory, "no-column.csv", "");
    assert!(output.code == 1 && output.stderr.contains("no-column.csv") && output.stderr.contains('d'), "{output:?}");
}

#[test]
fn an_empty_file_is_an_error_and_a_header_alone_is_not() {
    let directory = Directory::new("empty");
    directory.write("empty.csv", "");
    let output = run(&directory, "empty.csv", "");
    assert!(output.code == 1 && output.stderr.contains("empty.csv"), "{output:?}");
    let _ = std::fs::remove_dir_all(directory.text("out"));
    directory.write("header.csv", "k,n,d,t");
    let output = run(&directory, "header.csv", "");
    assert_eq!((output.code, directory.csv_lines("out").len(), &counters(&directory)["rows"]), (0, 0, &0.into()), "{output:?}");
}

#[test]
fn a_truncated_gzip_file_fails_the_run() {
    let directory = Directory::new("gzip");
    let rows: String = (0..20_000).map(|n| format!("key{},{n},1,2024-01-01 00:00:{:02}\n", n * 7919 % 1000, n / 400)).collect();
    let plain = directory.write("in.csv", format!("k,n,d,t\n{rows}"));
    assert!(Command::new("gzip").arg("-k").arg(&plain).status().expect("gzip is there").success());
    let whole = std::fs::read(directory.text("in.csv.gz")).unwrap();
    let output = run(&directory, "in.csv.gz", "");
    assert_eq!((output.code, &counters(&directory)["rows"]), (0, &20_000.into()), "{output:?}");
    std::fs::remove_dir_all(directory.text("out")).unwrap();
    std::fs::write(directory.text("cut.csv.gz"), &whole[..whole.len() / 2]).unwrap();
    let output = run(&directory, "cut.csv.gz", "");
    assert!(output.code == 1 && output.stderr.contains("cut.csv.gz"), "{output:?}");
    assert_eq!(counters(&directory)["complete"], false);
}

#[test]
fn extreme_values_are_values() {
    let directory = Directory::new("extremes");
    let long = "x".repeat(1 << 20);
    let nines = format!("{}.{}", "9".repeat(34), "9".repeat(4));
    let rows = [
        format!("first,{},-{nines},0001-01-01 00:00:00", i64::MIN),
        format!("first,{},{nines},0001-01-01 00:00:00.999999", i64::MIN),
        format!("{long},{},{nines},2024-01-01 00:00:00", i64::MAX),
        format!("last,{},0.0001,290000-12-31 23:59:59.5", i64::MAX),
        format!("last,{},0,290000-12-31 23:59:59.75", i64::MAX),
    ];
    directory.write("in.csv", format!("k,n,d,t\n{}\n", rows.join("\n")));
    let output = run(&directory, "in.csv", "");
    assert_eq!((output.code, &counters(&directory)["bad"], &counters(&directory)["late"]), (0, &0.into(), &0.into()), "{output:?}");
    let mut lines = directory.csv_lines("out");
    lines.sort_by_key(String::len);
    assert_eq!(
        lines,
        [
            format!("last,290000-12-31 23:59:59.000000,290001-01-01 00:00:00.000000,2,{},0.0001,4", 2 * i128::from(i64::MAX)),
            format!("first,0001-01-01 00:00:00.000000,0001-01-01 00:00:01.000000,2,{},{nines},5", 2 * i128::from(i64::MIN)),
            format!("{long},2024-01-01 00:00:00.000000,2024-01-01 00:00:01.000000,1,{},{nines},{}", i64::MAX, 1 << 20)
        ]
    );
}

#[test]
fn values_beyond_the_extremes_are_bad_rows() {
    let directory = Directory::new("beyond");
    let rows = [
        "a,9223372036854775808,0,2024-01-01",
        "a,-9223372036854775809,0,2024-01-01",
        "a,0,10000000000000000000000000000000000,2024-01-01",
        "a,0,0.00001,2024-01-01",
        "a,0,0,300000-01-01",
        "a,0,0,2024-02-30",
        "a,1,0,2024-01-01",
    ];
    directory.write("in.csv", format!("k,n,d,t\n{}\n", rows.join("\n")));
    let output = run(&directory, "in.csv", "");
    let counters = counters(&directory);
    assert_eq!((output.code, &counters["rows"], &counters["late"]), (0, &7.into(), &0.into()), "{output:?}");
    // Digits that do not fit the scale are rounded, as PostgreSQL rounds them.
    assert_eq!((&counters["bad"], directory.csv_lines("out").len()), (&5.into(), 1), "{output:?}");
}

#[test]
fn the_demo_runs_for_as_long_as_told() {
    let output = raympp(&["demo", "--for", "2s", "--plain", "--rate", "20000"]);
    assert_eq!(output.code, 0, "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines.len() >= 2 && lines[0].contains("rows/s") && lines[0].contains("100 channels"), "{}", output.stdout);
    let last = lines.last().expect("a last line");
    assert!(last.contains(" rows in 2.") && last.contains("event to visible: p50 "), "{last}");
    let rows: u64 = last.split(' ').next().and_then(|rows| rows.parse().ok()).expect("it begins with a number");
    assert!((20_000..=50_000).contains(&rows), "{last}");
}

/// A followed file is read as it grows, until somebody says that it is enough. What the program prints says how far it is, so nothing waits
/// by time.
#[test]
fn a_file_is_followed_as_it_grows() {
    for signal in ["INT", "TERM"] {
        follow_until(signal);
    }
}

fn follow_until(signal: &str) {
    let directory = Directory::new(&format!("follow-{signal}"));
    let path = directory.write("in.csv", "k,t\na,2024-01-01 00:00:00\n");
    let sql = format!(
        "CREATE STREAM s (k VARCHAR, t TIMESTAMP, WATERMARK FOR t AS t) WITH (connector = 'file', path = '{path}', follow = true);
         CREATE METRIC m AS SELECT k, COUNT(*) AS c FROM TUMBLE(s, t, INTERVAL '1 second') GROUP BY k, window_start, window_end;
         CREATE SINK out FROM m WITH (connector = 'stdout', format = 'jsonl');"
    );
    let script = directory.write("script.sql", sql);
    let mut program = Command::new(env!("CARGO_BIN_EXE_raympp"))
        .args(["run", &script, "--plain", "--threads", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(program.stdout.take().expect("piped")).lines();
    let mut file = std::fs::File::options().append(true).open(&path).expect("the input");
    let mut append = |text: &str| file.write_all(text.as_bytes()).expect("the input grows");
    append("b,2024-01-01 00:00:01\n");
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"k":"a","c":1}"#);
    append("b,2024-01-01 00:00:01.5\nb,2024-01-01 00:0");
    append("0:01.75\n\"c\n\",2024-01-01 00:00:09\n");
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"k":"b","c":3}"#);
    append("d,2024-01-01 00:00:20\n");
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"k":"c\n","c":1}"#);
    let interrupt = Command::new("kill").args([&format!("-{signal}"), &program.id().to_string()]).status().expect("kill is there");
    assert!(interrupt.success());
    assert!(lines.next().is_none(), "an interrupt closes no windows");
    assert_eq!(program.wait().expect("it ends").code(), Some(0));
}
