//! `target/compiled` and `target/run`: the SQL of each node, for people to read.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use common::diagnostic::Code;
use dbt::artifacts::sql_path;

use super::Attempt;
use crate::failure::{Failure, Result};
use crate::run::Artifacts;

impl Attempt<'_> {
    /// Keeps what came out of the templates.
    pub(super) fn write_compiled(&self) -> Result<()> {
        match &self.result.compiled_code {
            Some(sql) => self.write("compiled", sql),
            None => Ok(()),
        }
    }

    /// Keeps what builds the node.
    pub(super) fn write_run(&self, sql: &str) -> Result<()> {
        self.write("run", sql)
    }

    /// Where the compiled SQL is, for messages; `None` where it is not kept.
    pub(super) fn compiled_path(&self) -> Option<String> {
        let Artifacts::Write { target_path } = &self.run.artifacts else { return None };
        let folder = target_path.strip_prefix(&self.run.project_root).unwrap_or(target_path);
        Some(folder.join("compiled").join(sql_path(self.node)).display().to_string())
    }

    fn write(&self, folder: &str, sql: &str) -> Result<()> {
        let Artifacts::Write { target_path } = &self.run.artifacts else { return Ok(()) };
        let path = target_path.join(folder).join(sql_path(self.node));
        self.run
            .folders
            .write(&path, sql)
            .map_err(|error| Failure::system(Code::Io, format!("cannot write {}: {error}", path.display())))
    }
}

/// The folders that a run has written to: making sure of them for each of thousands of small files would cost as much as writing.
#[derive(Default)]
pub(crate) struct Folders(Mutex<HashSet<PathBuf>>);

impl Folders {
    /// Writes a file that is not there yet in this form: replacing it costs more than reading it, and most runs repeat the last.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
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
