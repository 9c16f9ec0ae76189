//! Ray-MPP beside what people would use instead (`peers/README.md`): builds or installs the peers, runs all of them on the same rows in turn, checks that
//! they found the same results, and prints a table. A peer that can't be had here is named with the reason; one with other results fails the run.

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROWS: &str = "60000000";
/// A peer that takes longer for all its runs is ended, and left out.
const LIMIT: Duration = Duration::from_secs(200);
/// What a JVM of version 17 has to open for Flink, and the memory and the collector that were fastest.
const JAVA_FLAGS: &[&str] = &[
    "-Xms8g",
    "-Xmx8g",
    "-XX:+UseParallelGC",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.time=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
];
/// Programs of the workspace in `peers/rust`.
const RUST_PEERS: &[&str] = &["peer-floor", "timely-documented", "timely-tuned", "peer-dbsp", "peer-laminardb"];
/// One run of these takes minutes.
const SLOW: &[&str] = &["peer-laminardb"];
/// These compute on one core, however many there are, so they are called with one thread and count as one core.
const COMPUTE_ON_ONE: &[&str] = &["peer-floor", "peer-laminardb"];

/// A table: so many channels, one query.
struct Case {
    name: &'static str,
    channels: usize,
    query: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "100 channels, HOP 1 s / 1 min", channels: 100, query: "hop" },
    Case { name: "10,000 channels, HOP 1 s / 1 min", channels: 10_000, query: "hop" },
    Case { name: "10,000 channels, TUMBLE 10 s", channels: 10_000, query: "tumble10" },
    Case { name: "10,000 channels, TUMBLE 1 s", channels: 10_000, query: "tumble1" },
];

/// A program that takes the arguments of `peers/README.md`.
struct Peer {
    program: Program,
    /// Behind the common ones.
    arguments: &'static [&'static str],
    threads: usize,
    runs: &'static str,
}

/// The fastest run of a peer.
struct Found {
    peer: String,
    version: String,
    settings: String,
    threads: usize,
    results: u64,
    hash: String,
    seconds: f64,
}

/// Cases whose name contains one of `names`, or all.
pub(super) fn run(workspace: &Workspace, names: &[&str]) -> Outcome<()> {
    let scratch = workspace.target.join("peers");
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let benches = workspace.build_program("raympp-benches")?;
    let (peers, mut left_out) = all_peers(workspace, &scratch, &benches)?;
    for case in CASES.iter().filter(|case| names.is_empty() || names.iter().any(|name| case.name.contains(name))) {
        let input = scratch.join(format!("rows-{}-{ROWS}", case.channels));
        if !input.join("event_time.i64").exists() {
            Program::new(&benches).arguments(&["rows"]).arguments(&[&input]).arguments(&[&case.channels.to_string(), ROWS]).run()?;
        }
        let mut found = Vec::new();
        for peer in &peers {
            match run_peer(peer, case, &input)? {
                Ran::Found(fastest) => found.push(fastest),
                Ran::Not(reason) => left_out.push(format!("{}: {reason}", case.name)),
            }
        }
        print_table(case, found)?;
    }
    left_out.iter().for_each(|reason| println!("left out: {reason}"));
    Ok(())
}

/// Those that can be had here, and why others can't.
fn all_peers(workspace: &Workspace, scratch: &Path, benches: &Path) -> Outcome<(Vec<Peer>, Vec<String>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ours = |arguments| Peer { program: Program::new(benches).arguments(&["peer"]), arguments, threads: cores, runs: "5" };
    let mut peers = vec![ours(&[]), ours(&["--checkpoint", "100"]), ours(&["--checkpoint", "100", "--replicas", "2"])];
    let mut left_out = Vec::new();
    let programs = build_rust(workspace, scratch)?;
    for name in RUST_PEERS {
        let program = programs.join(name);
        let threads = if COMPUTE_ON_ONE.contains(name) { 1 } else { cores };
        let runs = if SLOW.contains(name) { "1" } else { "3" };
        match program.exists() {
            true => peers.push(Peer { program: Program::new(program), arguments: &[], threads, runs }),
            false => left_out.push(format!("{name}: it could not be built, see above")),
        }
    }
    match python(workspace, scratch) {
        Ok(python) => {
            let program = Program::new(python).arguments(&[workspace.root.join("peers/duckdb/peer.py")]);
            peers.push(Peer { program, arguments: &[], threads: cores, runs: "3" });
        }
        Err(error) => left_out.push(format!("DuckDB: {error}")),
    }
    match flink(workspace, scratch) {
        Ok(program) => {
            peers.push(Peer { program: program.clone(), arguments: &[], threads: cores, runs: "2" });
            peers.push(Peer { program, arguments: &["--checkpoint", "1000"], threads: cores, runs: "2" });
        }
        Err(error) => left_out.push(format!("Flink: {error}")),
    }
    Ok((peers, left_out))
}

/// Builds what can be built of `peers/rust`, as a whole, so that what its packages share is compiled once; where the programs lie.
fn build_rust(workspace: &Workspace, scratch: &Path) -> Outcome<PathBuf> {
    let target = scratch.join("rust");
    let programs = target.join("release");
    for name in RUST_PEERS {
        let program = programs.join(name);
        if program.exists() {
            // One that is still there afterwards would be an older one.
            fs::remove_file(&program).map_err(|error| format!("{}: {error}", program.display()))?;
        }
    }
    let build = Program::new("cargo").arguments(&["build", "--release", "--locked", "--workspace", "--keep-going"]);
    if let Err(error) = build.directory(&workspace.root.join("peers/rust")).variable("CARGO_TARGET_DIR", &target).run() {
        println!("{error}");
    }
    Ok(programs)
}

/// The interpreter of a virtual environment with what DuckDB's program needs.
fn python(workspace: &Workspace, scratch: &Path) -> Outcome<PathBuf> {
    let (directory, requirements) = (scratch.join("venv"), workspace.root.join("peers/duckdb/requirements.txt"));
    let python = directory.join("bin/python");
    if !python.exists() {
        Program::new("python3").arguments(&["-m", "venv"]).arguments(&[&directory]).run()?;
    }
    let pip = Program::new(&python).arguments(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    pip.arguments(&[requirements]).run()?;
    Ok(python)
}

/// Installs Flink's libraries and compiles its program.
fn flink(workspace: &Workspace, scratch: &Path) -> Outcome<Program> {
    let (source, libraries) = (workspace.root.join("peers/flink"), scratch.join("flink"));
    let jars = libraries.join("pyflink/lib");
    if !jars.exists() {
        let pip =
            Program::new("python3").arguments(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
        pip.arguments(&[&libraries]).arguments(&["--requirement"]).arguments(&[source.join("requirements.txt")]).run()?;
    }
    let classes = scratch.join("flink-classes");
    let class_path = format!("{}/*:{}", jars.display(), classes.display());
    let files = fs::read_dir(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let files: Vec<PathBuf> =
        files.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|end| end == "java")).collect();
    let compiler = Program::new("javac").arguments(&["-nowarn", "-d"]).arguments(&[&classes]).arguments(&["-cp", &class_path]);
    compiler.arguments(&files).run()?;
    Ok(Program::new("java").arguments(JAVA_FLAGS).arguments(&["-cp", &class_path, "FlinkPeer"]))
}

/// What became of a peer.
enum Ran {
    /// Its fastest run.
    Found(Found),
    /// Why there is none.
    Not(String),
}

fn run_peer(peer: &Peer, case: &Case, input: &Path) -> Outcome<Ran> {
    const UNKNOWN_QUERY: i32 = 3;
    let threads = peer.threads.to_string();
    let common = ["--query", case.query, "--rows", ROWS, "--threads", &threads, "--runs", peer.runs];
    let program = peer.program.clone().arguments(&["--input"]).arguments(&[input]).arguments(&common).arguments(peer.arguments);
    let Some((code, output)) = program.code_and_output_within(LIMIT)? else {
        return Ok(Ran::Not(format!("{} was not done after {LIMIT:?}", peer.program.name())));
    };
    if code == UNKNOWN_QUERY {
        return Ok(Ran::Not(format!("{} can't, see above", peer.program.name())));
    }
    let mut fastest: Option<Found> = None;
    for line in output.lines() {
        let found = found(line, peer.threads).ok_or_else(|| format!("a peer printed {line:?}"))?;
        if fastest.as_ref().is_none_or(|fastest| found.seconds < fastest.seconds) {
            fastest = Some(found);
        }
    }
    fastest.map(Ran::Found).ok_or_else(|| format!("a peer printed nothing and ended with {code}"))
}

fn found(line: &str, threads: usize) -> Option<Found> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let (peer, version, settings, hash) = (text("peer")?, text("version")?, text("settings")?, text("hash")?);
    Some(Found { peer, version, settings, threads, results: line["results"].as_u64()?, hash, seconds: line["seconds"].as_f64()? })
}

fn print_table(case: &Case, found: Vec<Found>) -> Outcome<()> {
    let Some(ours) = found.first() else { return Err("nothing was run".to_owned()) };
    let (results, hash) = (ours.results, ours.hash.clone());
    let per_core = |found: &Found| ROWS.parse().unwrap_or(0.0) / found.seconds / found.threads as f64 / 1e6;
    println!("\n{}: {ROWS} rows, {results} results, hash {hash}\n", case.name);
    println!("| | million rows/s/core | Ray-MPP is faster by | version, settings |\n|---|--:|--:|---|");
    for one in &found {
        if (one.results, &one.hash) != (results, &hash) {
            return Err(format!("{} found {} results with the hash {}, not {results} with {hash}", one.peer, one.results, one.hash));
        }
        println!("| {} | {:.2} | {:.1} | {}; {} |", one.peer, per_core(one), per_core(ours) / per_core(one), one.version, one.settings);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_peer_is_read() {
        let line = r#"{"peer": "P", "version": "1", "settings": "s", "run": 0, "rows": 5, "results": 3, "hash": "00ff", "seconds": 0.5}"#;
        let one = found(line, 2).expect("it is complete");
        assert_eq!((one.peer.as_str(), one.results, one.hash.as_str(), one.seconds), ("P", 3, "00ff", 0.5));
        assert!(found("{}", 2).is_none() && found("WARN something", 2).is_none());
    }

    #[test]
    fn a_peer_with_other_results_fails_the_run() {
        let one = |hash: &str| Found {
            peer: "P".to_owned(),
            version: String::new(),
            settings: String::new(),
            threads: 1,
            results: 3,
            hash: hash.to_owned(),
            seconds: 1.0,
        };
        assert_eq!(print_table(&CASES[0], vec![one("a"), one("a")]), Ok(()));
        assert!(print_table(&CASES[0], vec![one("a"), one("b")]).is_err_and(|error| error.contains("not 3 with a")));
    }
}
