//! `logs/dbt.log`: every line of every run down to the debug level, for wrappers and for people who look later.
//!
//! Invariant: the log never fails a run. Where it cannot be written, it ends; a full disk is told by what needs the space.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

const FILE: &str = "dbt.log";
/// A file as large as this is put aside.
const BYTES_MAX: u64 = 10 << 20;
/// Files put aside that are kept: `dbt.log.1` is the youngest.
const KEPT: u32 = 5;

/// The open log of one call of the program.
pub struct LogFile {
    path: PathBuf,
    /// `None` once writing failed.
    file: Option<File>,
    bytes: u64,
    /// Lines for the next `flush`.
    unwritten: String,
}

/// Lines that are kept for a flush at most.
const UNWRITTEN_MAX: usize = 64 << 10;

impl LogFile {
    /// Opens the log in `folder` and marks where this call begins.
    pub fn open(folder: &Path, invocation_id: &str, now: DateTime<Utc>) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let file = append(&path)?;
        let bytes = file.metadata()?.len();
        let rule = "=".repeat(30);
        let unwritten = format!("{rule} {} | {invocation_id} {rule}\n", now.format("%H:%M:%S%.6f"));
        let mut log = Self { path, file: Some(file), bytes, unwritten };
        log.flush();
        Ok(log)
    }

    /// Takes a line for the next `flush`.
    pub fn write(&mut self, level: &str, message: &str, now: DateTime<Utc>) {
        let thread = std::thread::current();
        let thread = thread.name().filter(|name| *name != "main").unwrap_or("MainThread");
        let line = format!("{} [{level:<5}] [{thread}]: {message}\n", now.format("%H:%M:%S%.6f"));
        self.unwritten.push_str(&line);
        if self.unwritten.len() > UNWRITTEN_MAX {
            self.flush();
        }
    }

    pub fn flush(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        if self.bytes >= BYTES_MAX {
            self.file = self.rotate().ok();
            self.bytes = 0;
        }
        if let Some(file) = &mut self.file {
            match file.write_all(self.unwritten.as_bytes()) {
                Ok(()) => self.bytes += self.unwritten.len() as u64,
                Err(_) => self.file = None,
            }
        }
        self.unwritten.clear();
    }

    fn rotate(&self) -> std::io::Result<File> {
        let aside = |number: u32| self.path.with_file_name(format!("{FILE}.{number}"));
        for number in (1..KEPT).rev() {
            if aside(number).exists() {
                std::fs::rename(aside(number), aside(number + 1))?;
            }
        }
        std::fs::rename(&self.path, aside(1))?;
        append(&self.path)
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_log_is_put_aside_and_five_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..8 {
            let large = vec![b'a' + round; BYTES_MAX as usize];
            std::fs::write(folder.path().join(FILE), large).unwrap();
            let mut log = LogFile::open(folder.path(), "id", Utc::now()).unwrap();
            log.write("info", "hello", Utc::now());
            log.flush();
        }
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["dbt.log", "dbt.log.1", "dbt.log.2", "dbt.log.3", "dbt.log.4", "dbt.log.5"]);
        assert_eq!(std::fs::read(folder.path().join("dbt.log.1")).unwrap()[0], b'h');
        assert_eq!(std::fs::read(folder.path().join("dbt.log.5")).unwrap()[0], b'd');
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.ends_with("]: hello\n"), "{text}");
    }
}
