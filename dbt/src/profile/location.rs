//! Where `profiles.yml` is.

use std::path::{Path, PathBuf};

pub const FILE_NAME: &str = "profiles.yml";

/// The folder of `profiles.yml`: the given one (`--profiles-dir`, `DBT_PROFILES_DIR`), else the current folder where it has the
/// file, else `~/.dbt` where that has it, else the project's folder.
pub fn find_dir(given: Option<&Path>, current: &Path, home: Option<&Path>, project: &Path) -> PathBuf {
    if let Some(given) = given {
        return given.to_owned();
    }
    let home = home.map(|home| home.join(".dbt"));
    let has_file = |dir: &Path| dir.join(FILE_NAME).is_file();
    let candidates = [Some(current.to_owned()), home.clone(), Some(project.to_owned())];
    candidates.into_iter().flatten().find(|dir| has_file(dir)).or(home).unwrap_or_else(|| current.to_owned())
}
