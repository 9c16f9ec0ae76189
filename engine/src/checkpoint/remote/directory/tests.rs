//! What an object store promises, of a directory.

use super::*;

/// A directory that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("raympp-blobs-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Scratch(path)
    }

    fn blobs(&self) -> DirectoryBlobs {
        DirectoryBlobs::new("file:///somewhere/", &self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn objects_are_put_once_read_in_parts_listed_and_deleted() {
    let scratch = Scratch::new("kept");
    let blobs = scratch.blobs();
    assert_eq!(blobs.place(), "file:///somewhere");
    assert_eq!((blobs.list("").unwrap(), blobs.get("a/1", None).unwrap()), (vec![], None));
    blobs.put("a/1", b"hello".to_vec()).unwrap();
    assert!(blobs.create("b/2", b"first".to_vec()).unwrap());
    assert!(!blobs.create("b/2", b"second".to_vec()).unwrap());
    assert_eq!(blobs.get("b/2", None).unwrap().unwrap(), b"first");
    let parts = [(1..3, &b"el"[..]), (3..9, b"lo"), (5..9, b""), (7..9, b"")];
    for (range, part) in parts {
        assert_eq!(blobs.get("a/1", Some(range)).unwrap().unwrap(), part);
    }
    assert_eq!(blobs.list("").unwrap(), [("a/1".to_owned(), 5), ("b/2".to_owned(), 5)]);
    assert_eq!(blobs.list("b/").unwrap(), [("b/2".to_owned(), 5)]);
    blobs.delete("a/1").unwrap();
    blobs.delete("a/1").unwrap();
    assert_eq!(blobs.list("a/").unwrap(), []);
}

#[test]
fn drafts_of_others_are_cleared_away_and_never_listed() {
    let scratch = Scratch::new("drafts");
    let blobs = scratch.blobs();
    blobs.put("a/1", b"1".to_vec()).unwrap();
    let (other, own) = (scratch.0.join("a/.draft-0-7"), scratch.0.join(format!("a/.draft-{}-99", std::process::id())));
    fs::write(&other, "half").unwrap();
    fs::write(&own, "half").unwrap();
    assert_eq!(blobs.list("a/").unwrap(), [("a/1".to_owned(), 1)]);
    assert_eq!((other.exists(), own.exists()), (false, true));
}

#[test]
fn a_directory_that_is_none_is_named() {
    let scratch = Scratch::new("file");
    fs::write(&scratch.0, "a file").unwrap();
    let blobs = scratch.blobs();
    let error = blobs.put("a/1", Vec::new()).unwrap_err();
    assert!(error.what.contains("a/1") && error.what.contains("raympp-blobs-file"), "{error}");
    assert!(blobs.list("a/").unwrap_err().to_string().contains("raympp-blobs-file"));
    fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn who_is_told_to_stop_puts_nothing_more() {
    let scratch = Scratch::new("stopped");
    let blobs = scratch.blobs();
    blobs.put("a/1", Vec::new()).unwrap();
    blobs.stop();
    assert!(blobs.put("a/2", Vec::new()).is_err() && blobs.create("a/3", Vec::new()).is_err());
    assert_eq!(blobs.list("").unwrap().len(), 1);
}
