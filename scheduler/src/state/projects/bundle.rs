//! A project's files as they were at one moment.

use std::collections::BTreeSet;

use common::ContentDigest;
use common::bundle::BundleFile;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state::Rejection;

/// Most files of a bundle.
pub const FILES_MAX: usize = 20_000;
/// Longest path, in bytes.
const PATH_MAX: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The project that deployed it first.
    pub project: String,
    /// In the order of their paths.
    pub files: Vec<BundleFile>,
    /// Deployments and runs that it is held for.
    #[serde(skip)]
    pub(super) holders: u32,
}

/// Names a bundle: SHA-256 over the paths, digests and sizes of its files, in order.
pub fn digest(files: &[BundleFile]) -> ContentDigest {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update((file.path.len() as u64).to_be_bytes());
        hasher.update(file.path.as_bytes());
        hasher.update(file.digest.0);
        hasher.update(file.size.to_be_bytes());
    }
    ContentDigest(hasher.finalize().into())
}

/// Paths must stay inside the project, and come in order, each once.
pub(super) fn check(files: &[BundleFile]) -> Result<(), Rejection> {
    if files.is_empty() || files.len() > FILES_MAX {
        return Err(Rejection::BundleTooLarge { max: FILES_MAX as u32 });
    }
    let unordered = files.windows(2).find(|two| two[0].path >= two[1].path).map(|two| &two[1]);
    let outside = files.iter().find(|file| !is_inside(&file.path));
    match outside.or(unordered) {
        Some(file) => Err(Rejection::InvalidPath(file.path.clone())),
        None => Ok(()),
    }
}

fn is_inside(path: &str) -> bool {
    path.len() <= PATH_MAX
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The same content under two paths counts once.
pub(super) fn distinct(files: &[BundleFile]) -> BTreeSet<ContentDigest> {
    files.iter().map(|file| file.digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<BundleFile> {
        let file = |path: &&str| BundleFile { path: (*path).to_owned(), digest: ContentDigest([1; 32]), size: 1 };
        paths.iter().map(file).collect()
    }

    #[test]
    fn paths_stay_inside_and_in_order() {
        assert_eq!(check(&files(&["dbt_project.yml", "models/a.sql", "models/b c.sql"])), Ok(()));
        for wrong in ["/etc/passwd", "a/../../b", "..", "", "a//b", "a\\b", "./a", "c:/x"] {
            assert_eq!(check(&files(&[wrong])), Err(Rejection::InvalidPath(wrong.to_owned())));
        }
        assert_eq!(check(&files(&["b", "a"])), Err(Rejection::InvalidPath("a".to_owned())));
        assert_eq!(check(&files(&["a", "a"])), Err(Rejection::InvalidPath("a".to_owned())));
        assert_eq!(check(&[]), Err(Rejection::BundleTooLarge { max: 20_000 }));
    }

    #[test]
    fn a_bundle_is_named_by_everything_it_holds() {
        let one = files(&["a", "b"]);
        let mut other = one.clone();
        assert_eq!(digest(&one), digest(&other));
        other[1].size = 2;
        assert_ne!(digest(&one), digest(&other));
        assert_ne!(digest(&files(&["ab"])), digest(&files(&["a", "b"])));
    }
}
