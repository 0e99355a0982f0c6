//! A disk that can be filled: a test that needs one runs once more, in a namespace of its own with a small file system in memory.
use std::{fs::File, io::Write as _, path::Path, process::Command};

const PLACE: &str = "VIGIA_TEST_SMALL_DISK";

/// Runs `body`, which is that of the test of this name (its whole path), with an empty disk of so many MiB.
pub(super) fn on_a_small_disk(name: &str, mebibytes: u32, body: impl FnOnce(&Path)) {
    if let Some(place) = std::env::var_os(PLACE) {
        return body(Path::new(&place));
    }
    let place = tempfile::tempdir().unwrap();
    let mounted = "mount -t tmpfs -o size=\"$1\"m none \"$2\" && exec \"$3\" --exact \"$4\" --nocapture";
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh", &mebibytes.to_string()])
        .arg(place.path())
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(PLACE, place.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("1 passed"), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
}

/// Fills the disk but for so many bytes.
pub(super) fn fill(file: &Path, but: u64) {
    let mut filler = File::create(file).unwrap();
    while filler.write_all(&[7; 4096]).is_ok() {}
    let size = filler.metadata().unwrap().len();
    filler.set_len(size.saturating_sub(but)).unwrap();
}
