//! Walking the folders of one project.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use walkdir::WalkDir;

use super::ignore::IgnoreRules;
use super::{File, FileKind, PackageFiles, Stamp};
use crate::project::Project;

/// Folders nested deeper than this are not searched.
const DEPTH_MAX: usize = 64;

/// A file found in a folder, before it is known what it is.
struct Found {
    /// Relative to the searched folder.
    relative: String,
    stamp: Stamp,
}

pub fn discover(project: Arc<Project>) -> (PackageFiles, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let rules = IgnoreRules::load(&project, &mut diagnostics);
    // Most folders are searched for several kinds; each is walked once.
    let mut walked: HashMap<String, Vec<Found>> = HashMap::new();
    let mut files: Vec<File> = Vec::new();
    for kind in FileKind::ALL {
        let first = files.len();
        for folder in kind.folders(&project.paths) {
            let found = walked.entry(folder.clone()).or_insert_with(|| walk(&project, &folder, &mut diagnostics));
            for entry in found.iter().filter(|entry| matches(kind, &entry.relative)) {
                let path = join(&folder, &entry.relative);
                if !rules.ignores(&path) {
                    files.push(file(&project, kind, &folder, path, entry));
                }
            }
        }
        files[first..].sort_by(|left, right| left.path.cmp(&right.path));
        // Folders may overlap; the last one named decides, as in dbt.
        let mut kept = files.split_off(first);
        kept.reverse();
        kept.dedup_by(|left, right| left.path == right.path);
        kept.reverse();
        files.extend(kept);
    }
    (PackageFiles { project, files }, diagnostics)
}

fn walk(project: &Project, folder: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Found> {
    let root = project.dir.join(folder);
    let mut found = Vec::new();
    if !root.exists() {
        return found;
    }
    // Like dbt: symbolic links to files are followed, links to folders are not.
    for entry in WalkDir::new(&root).follow_links(false).max_depth(DEPTH_MAX) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().map_or_else(|| folder.to_owned(), |path| relative_to(path, &project.dir));
                diagnostics.push(unreadable(project, &path, &error.to_string()));
                continue;
            }
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = relative_to(entry.path(), &root);
        let Some(name) = entry.path().file_name().and_then(|name| name.to_str()) else {
            diagnostics.push(unreadable(project, &join(folder, &relative), "its name is not UTF-8"));
            continue;
        };
        if name.starts_with(['.', '#', '~']) {
            continue;
        }
        match std::fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => {
                let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let modified_ns = modified.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or(0);
                found.push(Found { relative, stamp: Stamp { modified_ns, size: metadata.len() } });
            }
            Ok(_) => {}
            // Only a file that would have been read is worth a finding.
            Err(error) if FileKind::ALL.iter().any(|kind| matches(*kind, &relative)) => {
                diagnostics.push(unreadable(project, &join(folder, &relative), &error.to_string()));
            }
            Err(_) => {}
        }
    }
    found
}

fn matches(kind: FileKind, relative: &str) -> bool {
    let has_suffix = kind.suffixes().iter().any(|suffix| {
        relative.len() > suffix.len()
            && relative.as_bytes()[relative.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
    });
    let is_special = || matches!(relative.split('/').next(), Some("generic" | "fixtures")) && relative.contains('/');
    has_suffix && !(kind == FileKind::SingularTest && is_special())
}

fn file(project: &Project, kind: FileKind, folder: &str, path: String, found: &Found) -> File {
    File {
        kind,
        display_path: project.display_path(&path).into(),
        absolute: project.dir.join(&path),
        path,
        search_path: folder.to_owned(),
        relative_path: found.relative.clone(),
        stamp: found.stamp,
        text: OnceLock::new(),
    }
}

fn join(folder: &str, relative: &str) -> String {
    match folder {
        "" | "." => relative.to_owned(),
        folder => format!("{}/{relative}", folder.trim_start_matches("./")),
    }
}

fn relative_to(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn unreadable(project: &Project, path: &str, reason: &str) -> Diagnostic {
    Diagnostic::error(Code::FileUnreadable, format!("'{path}' cannot be read: {reason}"))
        .at(Location::file(project.display_path(path)))
        .hint("mend it, or exclude it in .dbtignore")
}
