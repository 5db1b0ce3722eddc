//! `kontiki clean`: deletes the folders of `clean-targets`, and nothing that is not generated.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::console::{Console, Event};
use crate::exit::Exit;

/// `sources` are the folders with the project's own files: they, and what contains them, are never deleted.
pub fn clean(
    root: &Path,
    targets: &[String],
    sources: &[String],
    project_only: bool,
    console: &Console,
) -> Result<Exit> {
    let protected: Vec<PathBuf> = sources.iter().map(|path| normalize(&root.join(path))).collect();
    let folders: Vec<PathBuf> = targets.iter().map(|path| normalize(&root.join(path))).collect();
    let root = normalize(root);
    for folder in &folders {
        if project_only && !folder.starts_with(&root) {
            bail!(
                "clean-targets names {}, which is outside of the project; --no-clean-project-files-only deletes it all the same",
                folder.display()
            );
        }
        if root.starts_with(folder) || protected.iter().any(|source| source.starts_with(folder)) {
            bail!("clean-targets names {}, which holds the project's own files: nothing was deleted", folder.display());
        }
    }
    for folder in &folders {
        console.emit(&Event::Note(format!("Checking {}/*", folder.display())));
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("cannot delete {}", folder.display()))?;
        }
        console.emit(&Event::Note(format!("Cleaned {}/*", folder.display())));
    }
    console.emit(&Event::Note("Finished cleaning all paths.".to_owned()));
    Ok(Exit::Success)
}

/// Resolves `.` and `..` without asking the disk: the folder may not exist.
fn normalize(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
