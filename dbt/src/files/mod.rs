//! The files of a project and of its packages: found by the folders `dbt_project.yml` names, read when they are needed.
//!
//! Invariants: files come in a stable order (package, kind, path), whatever the file system says; a file's text is read at most
//! once; what cannot be read is a diagnostic. Seeds are never held in memory, only their checksum is taken.

mod contents;
mod discover;
mod ignore;
mod kind;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use common::Diagnostic;
use common::manifest::Checksum;
use rayon::prelude::*;

use crate::project::Project;

pub use contents::{TEXT_BYTES_MAX, read_text, text_checksum};
pub use kind::FileKind;

/// The root project and its packages, root first.
#[derive(Debug)]
pub struct ProjectFiles {
    pub packages: Vec<PackageFiles>,
}

/// One project and its files.
#[derive(Debug)]
pub struct PackageFiles {
    pub project: Arc<Project>,
    pub files: Vec<File>,
}

/// What tells without reading a file whether it is the one that was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    pub size: u64,
}

/// A file of a project.
#[derive(Debug)]
pub struct File {
    pub kind: FileKind,
    /// Relative to the package's folder, with `/`: dbt's `original_file_path`.
    pub path: String,
    /// The folder of `dbt_project.yml` it was found under, e.g. `models`.
    pub search_path: String,
    /// Relative to that folder: dbt's `path`.
    pub relative_path: String,
    /// Relative to the root project, for diagnostics.
    pub display_path: Arc<str>,
    pub absolute: PathBuf,
    pub stamp: Stamp,
    text: OnceLock<Result<Arc<str>, Box<Diagnostic>>>,
}

impl ProjectFiles {
    /// Finds the files of `projects`, root first, without reading them.
    pub fn discover(projects: Vec<Arc<Project>>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let found: Vec<(PackageFiles, Vec<Diagnostic>)> = projects.into_par_iter().map(discover::discover).collect();
        let mut packages = Vec::with_capacity(found.len());
        for (package, findings) in found {
            packages.push(package);
            diagnostics.extend(findings);
        }
        Self { packages }
    }

    pub fn root(&self) -> &Project {
        &self.packages[0].project
    }

    /// Reads all files of these kinds that were not read yet, in parallel, and reports those that cannot be read.
    pub fn read_all(&self, wanted: impl Fn(&File) -> bool + Sync, diagnostics: &mut Vec<Diagnostic>) {
        let failures: Vec<Box<Diagnostic>> = self
            .packages
            .par_iter()
            .flat_map(|package| package.files.par_iter())
            .filter(|file| file.kind != FileKind::Seed && wanted(file))
            .filter_map(|file| file.text().err())
            .collect();
        diagnostics.extend(failures.into_iter().map(|failure| *failure));
    }
}

impl PackageFiles {
    pub fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.kind == kind)
    }
}

impl File {
    /// The file's text without a byte order mark, read on first use. Seeds have none.
    pub fn text(&self) -> Result<&Arc<str>, Box<Diagnostic>> {
        let text = self.text.get_or_init(|| match self.kind {
            FileKind::Seed => Ok(Arc::from("")),
            _ => contents::read_text(&self.absolute, &self.display_path),
        });
        text.as_ref().map_err(Clone::clone)
    }

    /// dbt's checksum: of the text without white space around it, or of the path where a seed is larger than one mebibyte.
    pub fn checksum(&self) -> Result<Checksum, Box<Diagnostic>> {
        match self.kind {
            FileKind::Seed => contents::seed_checksum(&self.absolute, &self.path, &self.display_path, self.stamp.size),
            _ => Ok(contents::text_checksum(self.text()?)),
        }
    }

    /// The name of the file without folder and suffix.
    pub fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// A file that is not on disk, for tests and templates given on the command line.
    pub fn in_memory(kind: FileKind, search_path: &str, relative_path: &str, text: &str) -> Self {
        let path = format!("{search_path}/{relative_path}");
        Self {
            kind,
            display_path: path.as_str().into(),
            absolute: PathBuf::from(&path),
            path,
            search_path: search_path.to_owned(),
            relative_path: relative_path.to_owned(),
            stamp: Stamp { modified_ns: 0, size: text.len() as u64 },
            text: OnceLock::from(Ok(Arc::from(text))),
        }
    }
}

#[cfg(test)]
mod tests;
