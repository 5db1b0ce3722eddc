//! Writes the many small files of `target/compiled` and `target/run`.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The folders that a run has written to: making sure of them for each of thousands of small files would cost as much as writing.
#[derive(Default)]
pub struct Folders(Mutex<HashSet<PathBuf>>);

impl Folders {
    /// Writes a file that is not there yet in this form: replacing it costs more than reading it, and most runs repeat the last.
    pub fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        let Some(folder) = path.parent() else { return fs::write(path, text) };
        if self.known().contains(folder) {
            match fs::write(path, text) {
                // Somebody cleaned up meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => return written,
            }
        }
        fs::create_dir_all(folder)?;
        self.known().insert(folder.to_owned());
        fs::write(path, text)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        // Paths are inserted whole: a panic elsewhere cannot have left one half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
