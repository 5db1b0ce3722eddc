//! Which files a bundle is made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::Diagnostic;
use common::diagnostic::{Code, Location};

use crate::files::ProjectFiles;
use crate::project::{FILE_NAME, Project};

/// Beside `dbt_project.yml`, read by name.
const SETTINGS: [&str; 4] = [FILE_NAME, "packages.yml", "dependencies.yml", "selectors.yml"];

/// Where a file of a bundle is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// In the bundle.
    pub path: String,
    pub absolute: PathBuf,
}

/// The files of the project and its packages, in the order of their paths. A package outside of the project's folder cannot travel and
/// is a finding.
pub fn collect(files: &ProjectFiles, diagnostics: &mut Vec<Diagnostic>) -> Vec<Source> {
    let root = &files.root().dir;
    let mut sources = BTreeMap::new();
    for package in &files.packages {
        if !package.project.dir.starts_with(root) {
            diagnostics.push(outside(&package.project));
            continue;
        }
        let settings = SETTINGS.iter().map(|name| package.project.dir.join(name)).filter(|path| path.is_file());
        for absolute in settings.chain(package.files.iter().map(|file| file.absolute.clone())) {
            if let Some(path) = relative(root, &absolute) {
                sources.insert(path, absolute);
            }
        }
    }
    sources.into_iter().map(|(path, absolute)| Source { path, absolute }).collect()
}

fn outside(package: &Project) -> Diagnostic {
    let message =
        format!("the package '{}' is outside of the project's folder: {}", package.name, package.dir.display());
    Diagnostic::error(Code::Unsupported, message)
        .at(Location::file(package.source.file.clone()))
        .hint("a cluster gets the project's folder only: put the package into it, or install it with 'dbt deps'")
}

/// With forward slashes; `None` for a file that is not below `root` or has a name that is not UTF-8.
fn relative(root: &Path, absolute: &Path) -> Option<String> {
    let parts = absolute.strip_prefix(root).ok()?.components();
    let names: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    names.map(|names| names.join("/"))
}
