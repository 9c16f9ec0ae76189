//! A disk that stops at a chosen step, fails there, and forgets what was not made durable.
//!
//! What is durable is modelled beside the real directory: a file's content when it was last synced, and the names when the directory was. So a
//! picture of the directory can be made as a power cut would leave it, and not only as a killed process does.

use raympp_engine::sink::file::{Operation, Probe};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What becomes of what was not made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crash {
    /// The process is killed: all of it stays.
    Kill,
    /// The power fails: all of it is gone.
    PowerCut,
    /// The power fails, and names have reached the disk ahead of contents.
    NamesAhead,
    /// The power fails, and a part of the contents has reached the disk ahead of names.
    ContentsAhead,
}

pub(crate) const CRASHES: [Crash; 4] = [Crash::Kill, Crash::PowerCut, Crash::NamesAhead, Crash::ContentsAhead];

/// What is to go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Nothing,
    /// From this step on nothing happens any more.
    StopAt(usize),
    /// This step, and as many after it, fail with this error number.
    FailAt(usize, usize, i32),
}

#[derive(Default)]
struct Seen {
    steps: Vec<Operation>,
    /// Which file an inode is; its number may be used again.
    files: BTreeMap<u64, u64>,
    next_file: u64,
    /// Content of each file when it was last made durable.
    durable: BTreeMap<u64, Vec<u8>>,
    /// Files by name when the directory was last made durable.
    names: BTreeMap<PathBuf, u64>,
}

/// See the module.
pub(crate) struct Watch {
    directory: PathBuf,
    trouble: Trouble,
    seen: Mutex<Seen>,
}

impl Watch {
    /// Watches a directory; what is in it now is durable.
    pub(crate) fn new(directory: &Path, trouble: Trouble) -> Arc<Watch> {
        let watch = Watch { directory: directory.to_owned(), trouble, seen: Mutex::default() };
        let mut seen = Seen::default();
        for path in names(directory) {
            seen.register(&path);
            seen.sync(&path);
        }
        seen.sync_names(directory);
        *watch.seen.lock().expect("no panic") = seen;
        Arc::new(watch)
    }

    /// Operations so far.
    pub(crate) fn steps(&self) -> Vec<Operation> {
        self.seen.lock().expect("no panic").steps.clone()
    }

    /// Leaves the directory as it is after a crash.
    pub(crate) fn crash(&self, crash: Crash) {
        let seen = self.seen.lock().expect("no panic");
        let now: BTreeMap<PathBuf, (u64, Vec<u8>)> = names(&self.directory)
            .into_iter()
            .map(|path| {
                let content = fs::read(&path).expect("a file");
                (path.clone(), (seen.file(&path), content))
            })
            .collect();
        let current: BTreeMap<u64, Vec<u8>> = now.values().cloned().collect();
        let of_now: BTreeMap<PathBuf, u64> = now.iter().map(|(path, (file, _))| (path.clone(), *file)).collect();
        let names = match crash {
            Crash::Kill => return,
            Crash::NamesAhead => of_now.clone(),
            Crash::PowerCut | Crash::ContentsAhead => seen.names.clone(),
        };
        of_now.keys().for_each(|path| fs::remove_file(path).expect("a file"));
        for (path, file) in names {
            let mut content = seen.durable.get(&file).cloned().unwrap_or_default();
            if let (Crash::ContentsAhead, Some(current)) = (crash, current.get(&file))
                && current.starts_with(&content)
            {
                let torn = (current.len() - content.len()).div_ceil(2);
                content.extend_from_slice(&current[content.len()..content.len() + torn]);
            }
            fs::write(&path, content).expect("room");
        }
    }
}

impl Seen {
    fn file(&self, path: &Path) -> u64 {
        self.files[&fs::metadata(path).expect("a file").ino()]
    }

    fn register(&mut self, path: &Path) {
        let inode = fs::metadata(path).expect("a file").ino();
        self.files.insert(inode, self.next_file);
        self.next_file += 1;
    }

    fn sync(&mut self, path: &Path) {
        let content = fs::read(path).expect("a file");
        self.durable.insert(self.file(path), content);
    }

    fn sync_names(&mut self, directory: &Path) {
        self.names = names(directory).into_iter().map(|path| (path.clone(), self.file(&path))).collect();
    }
}

impl Probe for Watch {
    fn before(&self, operation: Operation, _path: &Path) -> io::Result<()> {
        let mut seen = self.seen.lock().expect("no panic");
        let step = seen.steps.len();
        seen.steps.push(operation);
        match self.trouble {
            Trouble::StopAt(at) if step >= at => Err(io::Error::other("the machine is off")),
            Trouble::FailAt(at, times, number) if (at..at + times).contains(&step) => Err(io::Error::from_raw_os_error(number)),
            _ => Ok(()),
        }
    }

    fn after(&self, operation: Operation, path: &Path) {
        let mut seen = self.seen.lock().expect("no panic");
        match operation {
            // A file that was there has been emptied, and is the same file.
            Operation::Create if fs::metadata(path).is_ok_and(|file| seen.files.contains_key(&file.ino())) => {}
            Operation::Create => seen.register(path),
            Operation::Sync => seen.sync(path),
            Operation::SyncDirectory if path == self.directory => seen.sync_names(path),
            Operation::Remove => {
                let left: BTreeSet<u64> = names(&self.directory).iter().map(|path| fs::metadata(path).expect("a file").ino()).collect();
                seen.files.retain(|inode, _| left.contains(inode));
            }
            _ => {}
        }
    }
}

/// Files in a directory; none if it is not there.
pub(crate) fn names(directory: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// A directory in memory, if the machine has one: a crash is modelled, and waiting for a real disk would show nothing.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let path = base.join(format!("raympp-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for the test");
        Scratch(path)
    }

    /// A place in it where nothing is.
    pub(crate) fn fresh(&self) -> PathBuf {
        let path = self.0.join("out");
        let _ = fs::remove_dir_all(&path);
        path
    }

    /// Visible and hidden files with their contents.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        names(&self.0.join("out")).iter().map(|path| (name(path), fs::read(path).expect("a file"))).collect()
    }

    /// Files that readers see.
    pub(crate) fn visible(&self) -> BTreeMap<String, Vec<u8>> {
        self.contents().into_iter().filter(|(name, _)| !name.starts_with('.')).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
