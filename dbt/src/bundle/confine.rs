//! What `dbt_project.yml` of a bundle may name: folders of the bundle. Whoever deploys a project must not read the machine that parses it.

use std::path::{Component, Path};

use common::Diagnostic;
use common::diagnostic::{Code, Location};

use crate::project::Project;

/// Nothing where a folder is outside of the project, which is a finding.
pub fn check(project: &Project, root: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<()> {
    let paths = &project.paths;
    let searched = [
        &paths.model,
        &paths.macros,
        &paths.seed,
        &paths.test,
        &paths.analysis,
        &paths.snapshot,
        &paths.function,
        &paths.docs,
        &paths.asset,
    ];
    let mut folders = searched.into_iter().flatten().chain([&paths.packages_install]).map(Path::new);
    let own = project.dir.strip_prefix(root);
    let outside = match own {
        Ok(own) if is_inside(own) => folders.find(|folder| !is_inside(folder)),
        _ => Some(project.dir.as_path()),
    };
    let Some(outside) = outside else { return Some(()) };
    let message = format!("the folder '{}' is outside of the project", outside.display());
    diagnostics.push(
        Diagnostic::error(Code::Unsupported, message)
            .at(Location::file(project.source.file.clone()))
            .hint("a cluster reads the project's own folders only"),
    );
    None
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
