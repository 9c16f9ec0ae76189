//! `checkpoint` as somebody at a terminal uses it.

use super::support::{Directory, raympp};

const ROWS: usize = 3000;

fn job(directory: &Directory) -> String {
    directory.write(
        "job.sql",
        format!(
            "CREATE STREAM s (channel VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP, WATERMARK FOR event_time AS event_time)
             WITH (connector = 'payments', rows = '{ROWS}', keys = '5', event_rate = '1000', rate = '10000');
             CREATE METRIC m AS SELECT channel, window_start, COUNT(*) AS c, SUM(amount) AS s
             FROM TUMBLE(s, event_time, INTERVAL '1 second') GROUP BY channel, window_start;
             CREATE METRIC totals AS SELECT channel, COUNT(*) AS c FROM s GROUP BY channel;
             CREATE SINK out FROM m WITH (connector = 'file', path = '{}', sorted = true);",
            directory.text("out")
        ),
    )
}

#[test]
fn checkpoints_are_listed_shown_verified_and_gone_back_to() {
    let directory = Directory::new("checkpoints");
    let (script, state) = (job(&directory), directory.text("state"));
    let run = || {
        raympp(&["run", &script, "--state-dir", &state, "--checkpoint-interval", "1ms", "--keep", "1000", "--plain", "--flush-rows", "50"])
    };
    let first = run();
    assert_eq!(first.code, 0, "{first:?}");
    let results = directory.csv_lines("out");
    assert!(results.len() > 10);

    let listed = raympp(&["checkpoint", "list", &state]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let epochs: Vec<&str> = listed.stdout.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    let last = listed.stdout.lines().last().unwrap();
    assert!(last.contains(&ROWS.to_string()), "{}", listed.stdout);

    let shown = raympp(&["checkpoint", "show", &state]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for part in [
        "stream s: ",
        &format!(": {ROWS} rows, the end"),
        "metric m: ",
        "metric totals: rows",
        &format!("of {ROWS} rows in 1 slices"),
        "sink out: has windows up to infinity",
    ] {
        assert!(shown.stdout.contains(part), "{part:?} is missing:\n{}", shown.stdout);
    }
    let verified = raympp(&["checkpoint", "verify", &state]);
    assert_eq!((verified.code, verified.stdout.lines().count()), (0, epochs.len()), "{verified:?}");
    assert!(verified.stdout.lines().all(|line| line.ends_with(": whole")), "{}", verified.stdout);

    let (export, other) = (directory.text("export"), directory.text("other-state"));
    let exported = raympp(&["checkpoint", "export", &state, &export, "--epoch", epochs[1]]);
    assert_eq!(exported.code, 0, "{exported:?}");
    let copies = [raympp(&["checkpoint", "show", &export]), raympp(&["checkpoint", "show", &format!("file://{export}"), epochs[1]])];
    assert!(copies.iter().all(|copy| copy.code == 0 && copy.stdout == copies[0].stdout), "{copies:?}");
    let original = raympp(&["checkpoint", "show", &state, epochs[1]]);
    let without_age = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<String>>();
    assert_eq!(without_age(&copies[0].stdout), without_age(&original.stdout));
    let twice = raympp(&["checkpoint", "export", &state, &export]);
    assert!(twice.code == 1 && twice.stderr.contains("there are checkpoints in it"), "{twice:?}");
    let missing = raympp(&["checkpoint", "restore", &export, "--epoch", "999999", "--into", &other]);
    assert!(missing.code == 1 && missing.stderr.contains("checkpoint 999999") && !std::path::Path::new(&other).exists(), "{missing:?}");
    let imported = raympp(&["checkpoint", "restore", &export, "--epoch", epochs[1], "--into", &other]);
    assert_eq!(imported.code, 0, "{imported:?}");
    let there = raympp(&["checkpoint", "show", &other]);
    assert_eq!(without_age(&there.stdout), without_age(&original.stdout));

    let back = raympp(&["checkpoint", "restore", &state, "--epoch", epochs[0]]);
    assert_eq!(back.code, 0, "{back:?}");
    let again = raympp(&["checkpoint", "list", &state]);
    assert_eq!(again.stdout.lines().count(), 2, "{}", again.stdout);
    assert_eq!(run().code, 0);
    assert_eq!(directory.csv_lines("out"), results, "nothing is published again");
}

#[test]
fn a_place_without_checkpoints_is_named() {
    let directory = Directory::new("no-checkpoints");
    for command in [&["list"][..], &["show"], &["verify"]] {
        let nowhere = directory.text("nowhere");
        let output = raympp(&[&["checkpoint"], command, &[nowhere.as_str()]].concat());
        assert!(output.code == 1 && output.stderr.contains("nowhere") && output.stderr.contains("there is none"), "{output:?}");
    }
    let foreign = directory.write("notes.txt", "mine");
    let output = raympp(&["checkpoint", "list", std::path::Path::new(&foreign).parent().unwrap().to_str().unwrap()]);
    assert!(output.code == 1 && output.stderr.contains("notes.txt"), "{output:?}");
}
