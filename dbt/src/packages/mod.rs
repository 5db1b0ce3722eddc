//! The packages a project depends on: what `packages.yml` or `dependencies.yml` asks for, and what is installed.
//!
//! Kontiki installs nothing: a package is either in `packages-install-path`, put there by `dbt deps`, or a `local:` folder, which
//! is read where it is. Invariant: names of packages are unique, the root project's included.

mod spec;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use common::Diagnostic;
use common::diagnostic::{Code, Location};

use crate::project::{Project, RawProject};
use crate::yaml;

pub use spec::{PackageSpec, Requested};

/// `local:` packages that name each other are followed this far.
const PACKAGES_MAX: usize = 500;

/// The root project and all its packages, root first, the others by name. `template` renders `dbt_project.yml` files.
pub fn load(
    root: Arc<Project>,
    template: &yaml::Render<'_>,
    verify_version: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Arc<Project>> {
    let requested = Requested::load(&root, template, diagnostics);
    let mut loader = Loader { root: &root, template, verify_version, diagnostics, found: BTreeMap::new() };
    let installed = loader.installed();
    loader.local(&requested, &root.dir.clone());
    let missing = requested.packages.len().saturating_sub(installed.max(loader.found.len()));
    let found = loader.found;
    if missing > 0 {
        diagnostics.push(missing_packages(&root, &requested, found.len()));
    }
    let mut projects = vec![root];
    projects.extend(found.into_values());
    projects
}

fn missing_packages(root: &Project, requested: &Requested, found: usize) -> Diagnostic {
    let message = format!(
        "{} package(s) specified in {}, but only {found} package(s) installed in {}",
        requested.packages.len(),
        requested.file,
        root.paths.packages_install
    );
    let names: Vec<String> = requested.packages.iter().map(ToString::to_string).collect();
    Diagnostic::error(Code::PackageMissing, message)
        .at(Location::file(root.display_path(&requested.file)))
        .hint(format!("run 'dbt deps' to install them: {}", names.join(", ")))
}

struct Loader<'a> {
    root: &'a Project,
    template: &'a yaml::Render<'a>,
    verify_version: bool,
    diagnostics: &'a mut Vec<Diagnostic>,
    found: BTreeMap<String, Arc<Project>>,
}

impl Loader<'_> {
    /// Loads every folder of `packages-install-path`, as dbt does, and tells how many there are.
    fn installed(&mut self) -> usize {
        let dir = self.root.dir.join(&self.root.paths.packages_install);
        let Ok(entries) = std::fs::read_dir(&dir) else { return 0 };
        let mut folders: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.is_dir() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("__"))
            })
            .collect();
        folders.sort();
        let count = folders.len();
        for folder in folders {
            if let Some(project) = self.project(&folder) {
                self.add(project);
            }
        }
        count
    }

    /// Loads `local:` packages that are not installed, and theirs.
    fn local(&mut self, requested: &Requested, dir: &Path) {
        for spec in &requested.packages {
            let PackageSpec::Local(path) = spec else { continue };
            let folder = normalize(&dir.join(path));
            if self.found.len() >= PACKAGES_MAX {
                return;
            }
            let known = RawProject::load(&folder, &self.prefix(&folder), &mut Vec::new())
                .and_then(|raw| raw.name().map(|name| self.found.contains_key(name) || self.root.name == name));
            if known == Some(true) {
                continue;
            }
            let Some(project) = self.project(&folder) else { continue };
            let project = self.add(project);
            let inner = Requested::load(&project, self.template, self.diagnostics);
            self.local(&inner, &folder);
        }
    }

    fn project(&mut self, folder: &Path) -> Option<Project> {
        let raw = RawProject::load(folder, &self.prefix(folder), self.diagnostics)?;
        raw.render(self.template, self.verify_version, self.diagnostics)
    }

    fn add(&mut self, project: Project) -> Arc<Project> {
        let project = Arc::new(project);
        let taken = self.root.name == project.name || self.found.contains_key(&project.name);
        if taken {
            self.diagnostics.push(
                Diagnostic::error(Code::DuplicateName, format!("two packages are named '{}'", project.name))
                    .at(Location::file(project.source.file.clone()))
                    .hint("rename one of them, or remove one from packages.yml"),
            );
        } else {
            self.found.insert(project.name.clone(), project.clone());
        }
        project
    }

    /// The folder relative to the root project; absolute where it lies elsewhere on the disk.
    fn prefix(&self, folder: &Path) -> String {
        let root = normalize(&self.root.dir);
        let shared = root.components().zip(folder.components()).take_while(|(left, right)| left == right).count();
        if shared == 0 {
            return folder.to_string_lossy().into_owned();
        }
        let up = root.components().skip(shared).map(|_| "..".to_owned());
        let down = folder.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
        up.chain(down).collect::<Vec<_>>().join("/")
    }
}

/// The path without `.` and `..`, without asking the disk.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests;
