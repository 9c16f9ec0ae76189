//! Files of a real state directory damaged while nobody looks: the next run ends with an error that names the place, or its rows are right. It never
//! panics, and never publishes another row.
//!
//! `RAYMPP_CRASH_ROUNDS` asks for more damages of each file, `RAYMPP_SEED` for others.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod job;
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::job::{Payments, Published, assert_equal, command, number, published, run_for, start, undisturbed};
use program::support::Directory;
use raympp_state::crash_point::VARIABLE;
use raympp_testkit::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A run that takes longer than this, in milliseconds, hangs.
const HANGS: u64 = 60_000;
const PAYMENTS: Payments = Payments { rows: 40_000, rate: 200_000, splits: 2 };

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Gone,
    /// To this many bytes.
    Cut(u64),
    /// This bit of this byte is another one.
    Flipped(u64, u8),
    /// Zeros from here on, as some file systems leave them.
    Zeros(u64),
}

impl Damage {
    /// Those that every file gets, and so many more at random places.
    fn all(file: &Path, bytes: u64, more: u64, random: &mut Random) -> Vec<Damage> {
        let mut all = vec![Damage::Gone, Damage::Cut(0)];
        if !has_data(file) {
            return all;
        }
        all.extend([Damage::Cut(bytes / 2), Damage::Cut(bytes.saturating_sub(1))]);
        for _ in 0..more {
            let at = random.below(bytes.max(1));
            all.push(Damage::Flipped(at, random.below(8) as u8));
            all.push(if random.once_in(2) { Damage::Cut(at) } else { Damage::Zeros(at) });
        }
        all
    }

    fn act_on(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Damage::Gone => return fs::remove_file(path).unwrap(),
            Damage::Cut(keep) => bytes.truncate(keep as usize),
            Damage::Flipped(at, bit) => bytes.iter_mut().skip(at as usize).take(1).for_each(|byte| *byte ^= 1 << bit),
            Damage::Zeros(from) => bytes.iter_mut().skip(from as usize).for_each(|byte| *byte = 0),
        }
        fs::write(path, bytes).unwrap();
    }
}

/// True for files of which every byte counts.
fn has_data(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    let ends = |extension: &&str| name.ends_with(*extension);
    ["RAYMPP", "NEWEST", "CURRENT"].contains(&&*name) || name.starts_with("MANIFEST") || [".log", ".sst", ".blob"].iter().any(ends)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn files(directory: &Path, prefix: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = prefix.join(path.file_name().unwrap());
        if path.is_dir() { files(&path, &name, all) } else { all.push(name) }
    }
    all.sort();
}

/// A job that was killed twice, so that its state directory has logs, tables and blob files, and that is put back as it was then.
struct Killed {
    directory: Directory,
    script: String,
}

impl Killed {
    fn new(name: &str) -> Killed {
        let directory = Directory::new(name);
        let script = directory.write("job.sql", PAYMENTS.script(&directory, "out"));
        let killed = Killed { directory, script };
        for visits in [4, 4] {
            let mut command = command(&killed.script, Some(&killed.directory.text("state")), None);
            command.env(VARIABLE, format!("commit-untold:{visits}"));
            let (status, problems) = run_for(start(command), Some(HANGS)).expect("it ends");
            assert!(status.code().is_none(), "it was to be killed: {status} {problems}");
        }
        for part in ["state", "out"] {
            copy(Path::new(&killed.directory.text(part)), Path::new(&killed.directory.text(&format!("{part}-then"))));
        }
        killed
    }

    fn put_back(&self) {
        for part in ["state", "out"] {
            let path = self.directory.text(part);
            fs::remove_dir_all(&path).unwrap();
            copy(Path::new(&format!("{path}-then")), Path::new(&path));
        }
    }

    fn run(&self, options: &[&str]) -> (Option<i32>, String) {
        let mut command = command(&self.script, Some(&self.directory.text("state")), None);
        command.args(options);
        let (status, problems) = run_for(start(command), Some(HANGS)).expect("it hangs");
        (status.code(), problems)
    }

    /// Runs the damaged job; true if it was told.
    fn judge(&self, expected: &Published, file: &Path, damage: Damage) -> bool {
        let state = self.directory.text("state");
        let mut story = format!("{} {damage:?}", file.display());
        for options in [&[][..], &["--fall-back"]] {
            self.put_back();
            damage.act_on(&Path::new(&state).join(file));
            let (code, problems) = self.run(options);
            story += &format!(", {options:?}: {code:?} {problems}");
            assert!(code.is_some() && !problems.contains("panicked") && !problems.contains("INVARIANT"), "{story}");
            let found = published(&self.directory, "out");
            if code == Some(0) {
                assert_equal(expected, &found, &story);
                return !options.is_empty();
            }
            assert!(
                problems.contains(&state) || problems.contains("checkpoint") || problems.contains("commit"),
                "nothing is named: {story}"
            );
            for (sink, lines) in &found {
                let is_right = |line: &String| expected[sink].contains(line);
                assert!(lines.iter().all(is_right) && lines.windows(2).all(|pair| pair[0] != pair[1]), "{story}");
            }
        }
        true
    }
}

#[test]
fn a_damaged_state_directory_is_told_or_does_no_harm() {
    let directory = Directory::new("damage");
    let expected = undisturbed(&directory, "undisturbed", &Payments { rate: 0, ..PAYMENTS }.script(&directory, "undisturbed"));
    let killed = [Killed::new("damage-1"), Killed::new("damage-2")];
    let more = number("RAYMPP_CRASH_ROUNDS", 10) / 10;
    // What each of them is to do: their files differ.
    let told = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for (worker, killed) in killed.iter().enumerate() {
            let (told, expected) = (&told, &expected);
            scope.spawn(move || {
                let mut random = Random::new(number("RAYMPP_SEED", 1) + worker as u64);
                let then = PathBuf::from(killed.directory.text("state-then"));
                let mut names = Vec::new();
                files(&then, Path::new(""), &mut names);
                let kinds = ["log", "sst", "blob"];
                let has = |kind: &&str| names.iter().any(|name| name.extension().is_some_and(|extension| extension == *kind));
                assert!(kinds.iter().all(has), "a state directory has logs, tables and blob files: {names:?}");
                for name in names {
                    let bytes = fs::metadata(then.join(&name)).unwrap().len();
                    for damage in Damage::all(&name, bytes, more, &mut random).into_iter().skip(worker).step_by(2) {
                        let is_told = killed.judge(expected, &name, damage);
                        let kind = name.extension().unwrap_or(name.file_name().unwrap()).to_string_lossy().into_owned();
                        told.lock().unwrap().entry(kind).or_insert([0, 0])[usize::from(is_told)] += 1;
                    }
                }
            });
        }
    });
    println!("harmless and told, by kind of file: {:?}", told.lock().unwrap());
    let all: [u32; 2] = told.lock().unwrap().values().fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
    assert!(all.iter().all(|&times| times > 0), "{all:?}: some damage is told, some does no harm");
}
