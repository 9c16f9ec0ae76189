//! The peers: how each is built or installed, called and counted. Ray-MPP comes first.

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// The system that the others are beside.
pub(super) const OURS: &str = "Ray-MPP";
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
/// Passes that a run has at most, unless its program keeps the rows of all passes in memory.
const PASSES_MAX: usize = 64;

/// A program that takes the arguments of `peers/README.md`.
pub(super) struct Peer {
    /// System and variant, as tables and errors have it.
    pub(super) name: String,
    pub(super) system: &'static str,
    pub(super) program: Program,
    /// Behind the common ones.
    pub(super) arguments: &'static [&'static str],
    pub(super) threads: usize,
    /// Rows per second and core: whether it is the cores that were busy, or those that it could use.
    pub(super) per_busy_core: bool,
    /// Whether every row counts exactly once after a crash. Systems are compared with those of which the same is true.
    pub(super) is_exactly_once: bool,
    /// Timed runs, after one that is not.
    pub(super) runs: usize,
    pub(super) passes_max: usize,
    /// Of a hopping window's rows it is given one part of so many: all would take it hours.
    pub(super) hop_part: usize,
    /// What others find is compared with this, where nobody else was asked for the same.
    pub(super) is_reference: bool,
}

impl Peer {
    fn new(name: &str, system: &'static str, program: Program, threads: usize) -> Peer {
        Peer {
            name: name.to_owned(),
            system,
            program,
            arguments: &[],
            threads,
            per_busy_core: false,
            is_exactly_once: false,
            runs: 3,
            passes_max: PASSES_MAX,
            hop_part: 1,
            is_reference: false,
        }
    }

    /// A run takes half a minute or more.
    fn slow(self) -> Peer {
        Peer { runs: 2, passes_max: 1, ..self }
    }
}

/// Those that can be had here, and why others can't.
pub(super) fn all(workspace: &Workspace, scratch: &Path, benches: &Path) -> Outcome<(Vec<Peer>, Vec<String>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut peers = ours(benches, cores);
    let mut left_out = Vec::new();
    let programs = build_rust(workspace, scratch)?;
    for peer in rust_peers(&programs, cores) {
        match programs.join(peer.program.name()).exists() {
            true => peers.push(peer),
            false => left_out.push(format!("{}: it could not be built, see above", peer.name)),
        }
    }
    match python(workspace, scratch) {
        Ok(python) => {
            let program = Program::new(python).arguments(&[workspace.root.join("peers/duckdb/peer.py")]);
            // All passes are in its table.
            peers.push(Peer { passes_max: 2, ..Peer::new("DuckDB, in batch", "DuckDB", program, cores) });
        }
        Err(error) => left_out.push(format!("DuckDB: {error}")),
    }
    match flink(workspace, scratch) {
        Ok(program) => {
            let flink = |name: &str| Peer::new(name, "Apache Flink", program.clone(), cores).slow();
            peers.push(flink("Apache Flink"));
            let arguments = &["--checkpoint", "1000"];
            peers.push(Peer { arguments, is_exactly_once: true, ..flink("Apache Flink, exactly-once, every second") });
        }
        Err(error) => left_out.push(format!("Apache Flink: {error}")),
    }
    Ok((peers, left_out))
}

fn ours(benches: &Path, cores: usize) -> Vec<Peer> {
    let ours = |name: &str| Peer::new(name, OURS, Program::new(benches).arguments(&["peer"]), cores);
    vec![
        Peer { is_reference: true, ..ours(OURS) },
        // As often as Flink, which is compared with the first variant that guarantees the same.
        Peer { arguments: &["--checkpoint", "1000"], is_exactly_once: true, ..ours("Ray-MPP, exactly-once, every second") },
        Peer { arguments: &["--checkpoint", "100"], is_exactly_once: true, ..ours("Ray-MPP, exactly-once, every 100 ms") },
        Peer {
            arguments: &["--checkpoint", "100", "--replicas", "2"],
            is_exactly_once: true,
            ..ours("Ray-MPP, exactly-once, every 100 ms, and a standby")
        },
    ]
}

/// Programs of the workspace in `peers/rust`.
fn rust_peers(programs: &Path, cores: usize) -> Vec<Peer> {
    let peer = |name: &str, system, program: &str, threads| Peer::new(name, system, Program::new(programs.join(program)), threads);
    vec![
        Peer { is_reference: true, ..peer("the floor: a loop by hand, one thread", "the floor", "peer-floor", 1) },
        peer("timely dataflow, as its documentation suggests", "timely dataflow", "timely-documented", cores),
        peer("timely dataflow, tuned by hand", "timely dataflow, tuned", "timely-tuned", cores),
        // All passes are in memory as its transactions.
        Peer { passes_max: 2, ..peer("dbsp", "dbsp", "peer-dbsp", cores) },
        // It computes on one thread, whatever else may run beside that.
        Peer { per_busy_core: true, hop_part: 20, ..peer("LaminarDB", "LaminarDB", "peer-laminardb", cores).slow() },
    ]
}

/// Builds what can be built of `peers/rust`, as a whole, so that what its packages share is compiled once; where the programs lie.
fn build_rust(workspace: &Workspace, scratch: &Path) -> Outcome<PathBuf> {
    let target = scratch.join("rust");
    let programs = target.join("release");
    for peer in rust_peers(&programs, 1) {
        let program = programs.join(peer.program.name());
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
    if !Program::new("javac").arguments(&["-version"]).succeeds() {
        return Err("there is no javac; please install a JDK, such as openjdk-17-jdk-headless".to_owned());
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One that can't be called.
    pub(in super::super) fn peer(system: &'static str, threads: usize) -> Peer {
        Peer::new(system, system, Program::new(system), threads)
    }

    #[test]
    fn names_are_told_apart_and_ours_comes_first() {
        let peers: Vec<Peer> = ours(Path::new("b"), 2).into_iter().chain(rust_peers(Path::new("d"), 2)).collect();
        let names: std::collections::BTreeSet<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names.len(), peers.len());
        assert_eq!(peers[0].system, OURS);
        assert!(peers.iter().filter(|peer| peer.is_reference).count() == 2, "what the one finds is compared with the other");
    }
}
