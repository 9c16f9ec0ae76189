//! Where files are written: a directory belongs to one sink, and a script that is refused leaves what is there as it was.

use crate::support::{METRICS, STREAM, engine, p, push};
use raympp_engine::{Engine, Error};
use raympp_tests::directory::Directory;
use raympp_tests::job::{DEADLINE, Shape};

fn directory(name: &str) -> Directory {
    Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("places-{name}"))
}

fn sink(name: &str, path: &str, options: &str) -> String {
    format!("CREATE SINK {name} FROM windows WITH (connector = 'file', path = '{path}'{options});")
}

/// What the engine says against a script.
fn refusal(engine: &Engine, sql: &str) -> String {
    match engine.execute(sql) {
        Err(error @ (Error::Sink { .. } | Error::Sql(_) | Error::Refused(_) | Error::Source { .. })) => error.to_string(),
        other => panic!("{other:?}\n{sql}"),
    }
}

#[test]
fn a_directory_belongs_to_one_sink() {
    let directory = directory("one-sink");
    let out = directory.text("out");
    std::fs::create_dir(directory.text("elsewhere")).expect("a directory");
    std::os::unix::fs::symlink(directory.text("elsewhere"), directory.text("link")).expect("a link");
    let spellings = [
        (out.clone(), out.clone()),
        (out.clone(), format!("{out}/")),
        (out.clone(), directory.text("elsewhere/../out")),
        (out.clone(), directory.text("./not-there/../out")),
        (directory.text("elsewhere/new"), directory.text("link/new")),
    ];
    for (first, second) in &spellings {
        let engine = engine();
        let both = refusal(&engine, &format!("{}{}", sink("rates", first, ""), sink("copies", second, "")));
        assert!(both.contains("rates") && both.contains("copies") && both.contains("belongs to one sink"), "{both}");
        engine.execute(&sink("rates", first, "")).expect("there is one now");
        let running = refusal(&engine, &sink("copies", second, ", overwrite = true"));
        assert!(running.contains("rates") && running.contains("copies"), "{running}");
        engine.execute("DROP SINK rates").expect("it exists");
        engine.execute(&sink("copies", second, ", overwrite = true")).expect("nobody else writes there");
        engine.shutdown().expect("a clean shutdown");
        let _ = std::fs::remove_dir_all(first);
    }
}

/// Results of an earlier run, to be overwritten.
fn earlier_results(directory: &Directory) -> String {
    let out = directory.text("out");
    std::fs::create_dir(&out).expect("a directory");
    directory.write("out/part-000000.csv", "an earlier result\n");
    directory.write("out/.part-000001.csv.tmp", "half of another");
    out
}

#[test]
fn a_refused_script_removes_and_makes_nothing() {
    let directory = directory("refused");
    let out = earlier_results(&directory);
    directory.write("a-file", "");
    let overwriting = sink("good", &out, ", overwrite = true");
    let letters = |name: &str| {
        let options = format!("WITH (bad_rows = 'dead_letter:{}');", directory.text("letters.jsonl"));
        format!("CREATE STREAM {name} (k VARCHAR, t TIMESTAMP) {options}")
    };
    for bad in [
        sink("bad", &directory.text("a-file"), ""),
        sink("bad", &directory.text("a-file/below"), ""),
        sink("bad", "/proc/no-such-directory", ""),
        format!("CREATE STREAM q (k VARCHAR) WITH (connector = 'file', path = '{}');", directory.text("missing.csv")),
        format!("CREATE STREAM q (k VARCHAR) WITH (bad_rows = 'dead_letter:{}');", directory.text("no-such/letters.jsonl")),
    ] {
        let engine = engine();
        let new = sink("new", &directory.text("new/results"), "");
        refusal(&engine, &format!("{}{overwriting}{new}{bad}", letters("other")));
        assert_eq!(directory.read("out/part-000000.csv"), "an earlier result\n", "{bad}");
        assert_eq!(directory.read("out/.part-000001.csv.tmp"), "half of another", "{bad}");
        let mut left: Vec<String> = std::fs::read_dir(directory.text("."))
            .expect("it is there")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["a-file", "out"], "{bad}");
        engine.execute(&format!("{}{overwriting}", letters("other"))).expect("without the bad statement it is right");
        assert!(std::fs::exists(directory.text("letters.jsonl")).expect("readable"));
        std::fs::remove_file(directory.text("letters.jsonl")).expect("disk");
        engine.shutdown().expect("a clean shutdown");
        std::fs::remove_dir_all(&out).expect("disk");
        earlier_results(&directory);
    }
}

#[test]
fn overwriting_takes_place_when_the_script_does() {
    let directory = directory("overwritten");
    let out = earlier_results(&directory);
    let engine = Shape::ONE.engine();
    engine.execute(&format!("{STREAM}{METRICS}{}", sink("results", &out, ", overwrite = true"))).expect("a right script");
    assert!(directory.parts("out").is_empty(), "the earlier results are gone");
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(directory.csv_lines("out"), ["a,0,1"]);
    assert_eq!(std::fs::read_dir(&out).expect("it is there").count(), 1, "nothing else is left");
}

#[test]
fn a_sink_that_its_own_script_drops_leaves_nothing() {
    let directory = directory("dropped");
    let engine = engine();
    let out = directory.text("out");
    engine.execute(&format!("{}DROP SINK gone; SHOW SINKS;", sink("gone", &out, ""))).expect("a right script");
    assert!(!std::fs::exists(&out).expect("readable"));
    let twice = format!("{}DROP SINK one;{}", sink("one", &out, ""), sink("one", &out, ""));
    engine.execute(&twice).expect("the first was never there");
    engine.shutdown().expect("a clean shutdown");
    assert_eq!(directory.parts("out").len(), 1, "the second says that there were no rows");
}

#[test]
fn inputs_are_not_written_to() {
    let directory = directory("inputs");
    std::fs::create_dir(directory.text("in")).expect("a directory");
    let rows = "k,t\na,1970-01-01 00:00:00\n";
    directory.write("in/part-000000.csv", rows);
    directory.write("letters.jsonl", "{}\n");
    let stream = |name: &str, path: &str, letters: &str| {
        format!(
            "CREATE STREAM {name} (k VARCHAR, t TIMESTAMP) WITH (connector = 'file', path = '{}', format = 'csv', bad_rows = 'dead_letter:{}');",
            directory.text(path),
            directory.text(letters)
        )
    };
    let engine = engine();
    for (path, letters) in [
        ("in/part-000000.csv", "in/part-000000.csv"),
        ("in/part-000000.csv", "in/../in/./part-000000.csv"),
        ("in/*.csv", "in/bad.csv"),
        ("**/*.csv", "in/bad.csv"),
        ("in/../in/*", "in/bad.csv"),
        ("in/[a-z]*.csv", "in/part-000000.csv"),
    ] {
        let said = refusal(&engine, &stream("f", path, letters));
        assert!(said.contains("the bad rows of stream f go to ") && said.contains("an input of stream f"), "{said}");
    }
    let first = format!("CREATE STREAM w (k VARCHAR, t TIMESTAMP) WITH (bad_rows = 'dead_letter:{}');", directory.text("letters.jsonl"));
    engine.execute(&first).expect("nobody reads it");
    let said = refusal(&engine, &stream("f", "letters.jsonl", "bad.jsonl"));
    assert!(said.contains("the bad rows of stream w go to ") && said.contains("an input of stream f"), "{said}");
    engine.execute(&stream("f", "in/*.csv", "in/.bad.csv")).expect("a pattern does not mean what begins with a dot");
    let overwriting = sink("results", &directory.text("in"), ", overwrite = true");
    let said = refusal(&engine, &overwriting);
    assert!(said.contains("overwriting would remove") && said.contains("an input of stream f"), "{said}");
    assert_eq!(directory.read("in/part-000000.csv"), rows);
}
