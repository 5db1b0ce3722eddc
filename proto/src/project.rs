//! Deployments: pieces of files, and the bundles that name them.

use bytes::Bytes;
use common::ContentDigest;
use common::bundle::BundleFile;

use crate::invalid::Invalid;
use crate::v1;

/// Most bytes of one piece of a file.
pub const PIECE_BYTES_MAX: usize = 256 << 10;
/// Most digests that are asked about at once.
pub const DIGESTS_MAX: usize = 10_000;
/// Longest name of a project and longest revision, in bytes.
const NAME_MAX: usize = 256;
/// Longest path of a file, in bytes.
const PATH_MAX: usize = 1_024;

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub digest: ContentDigest,
    /// Of the whole file.
    pub size: u64,
    pub offset: u64,
    pub data: Bytes,
}

/// A revision of a project, its files in the order of their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub project: String,
    pub files: Vec<BundleFile>,
    pub revision: String,
}

pub fn to_digest(field: &'static str, bytes: &[u8]) -> Result<ContentDigest, Invalid> {
    let wrong = |_| Invalid::new(field, format!("has {} bytes, not the 32 of a SHA-256", bytes.len()));
    ContentDigest::try_from(bytes).map_err(wrong)
}

pub fn of_digest(digest: &ContentDigest) -> Bytes {
    digest.0.to_vec().into()
}

pub fn to_digests(digests: &[Bytes]) -> Result<Vec<ContentDigest>, Invalid> {
    if digests.len() > DIGESTS_MAX {
        return Err(Invalid::new("digests", format!("are {}, more than {DIGESTS_MAX}", digests.len())));
    }
    digests.iter().map(|digest| to_digest("digests", digest)).collect()
}

pub fn to_piece(piece: v1::UploadBlobsRequest) -> Result<Piece, Invalid> {
    let v1::UploadBlobsRequest { digest, size, offset, data } = piece;
    let digest = to_digest("digest", &digest)?;
    if data.len() > PIECE_BYTES_MAX {
        return Err(Invalid::new("data", format!("has {} bytes, more than {PIECE_BYTES_MAX}", data.len())));
    }
    if data.is_empty() && size > 0 {
        return Err(Invalid::new("data", "is empty"));
    }
    if offset.saturating_add(data.len() as u64) > size {
        return Err(Invalid::new("data", format!("goes beyond the file's {size} bytes")));
    }
    Ok(Piece { digest, size, offset, data })
}

/// Brings the files into order. Two of the same path, and paths that lead out of the project, are refused.
pub fn to_revision(request: v1::DeployProjectRequest) -> Result<Revision, Invalid> {
    let v1::DeployProjectRequest { project, files, revision } = request;
    check_project(&project)?;
    if revision.len() > NAME_MAX {
        return Err(Invalid::new("revision", format!("is longer than {NAME_MAX} bytes")));
    }
    if files.is_empty() {
        return Err(Invalid::missing("files"));
    }
    let mut files = files.into_iter().map(to_file).collect::<Result<Vec<_>, _>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    match files.windows(2).find(|two| two[0].path == two[1].path) {
        Some(two) => Err(Invalid::new("files.path", format!("'{}' is there twice", two[0].path))),
        None => Ok(Revision { project, files, revision }),
    }
}

/// dbt's names of projects have letters, digits and underscores only; anything a file or a label could be named is fine.
pub fn check_project(project: &str) -> Result<(), Invalid> {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    match project {
        "" => Err(Invalid::missing("project")),
        _ if project.len() > NAME_MAX => Err(Invalid::new("project", format!("is longer than {NAME_MAX} bytes"))),
        _ if !project.chars().all(is_plain) => Err(Invalid::new("project", "is not the name of a project")),
        _ => Ok(()),
    }
}

fn to_file(file: v1::BundleFile) -> Result<BundleFile, Invalid> {
    let digest = to_digest("files.digest", &file.digest)?;
    if !is_inside(&file.path) {
        return Err(Invalid::new(
            "files.path",
            format!("'{}' is not a path inside a project", file.path.escape_debug()),
        ));
    }
    Ok(BundleFile { path: file.path, digest, size: file.size })
}

/// Relative, with forward slashes only, without parts that stay or climb.
fn is_inside(path: &str) -> bool {
    path.len() <= PATH_MAX
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

pub fn file(file: &BundleFile) -> v1::BundleFile {
    v1::BundleFile { path: file.path.clone(), digest: of_digest(&file.digest), size: file.size }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn deployment(paths: &[&str]) -> v1::DeployProjectRequest {
        let file = |path: &&str| v1::BundleFile { path: (*path).to_owned(), digest: vec![1; 32].into(), size: 1 };
        v1::DeployProjectRequest {
            project: "shop".to_owned(),
            files: paths.iter().map(file).collect(),
            revision: String::new(),
        }
    }

    #[test]
    fn files_are_brought_into_order() {
        let revision = to_revision(deployment(&["b", "a/c", "a"])).unwrap();
        assert_eq!(revision.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "a/c", "b"]);
    }

    #[test]
    fn paths_that_lead_out_of_the_project_are_refused() {
        for path in
            ["/etc/passwd", "a/../../b", "..", "", "a//b", "a\\..\\b", "./a", "c:/x", "a\0b", &"a".repeat(1_025)]
        {
            let refused = to_revision(deployment(&[path])).unwrap_err();
            assert_eq!(refused.field, "files.path", "{path}");
        }
        let twice = to_revision(deployment(&["a", "b", "a"])).unwrap_err();
        assert_eq!(twice.to_string(), "files.path 'a' is there twice");
    }

    #[test]
    fn names_of_projects_are_plain() {
        assert_eq!(check_project("smart_pizza"), Ok(()));
        for name in ["", "a/b", "a b", "..\\x", &"a".repeat(257)] {
            assert_eq!(check_project(name).unwrap_err().field, "project", "{name}");
        }
    }

    fn piece(size: u64, offset: u64, bytes: usize) -> Result<Piece, Invalid> {
        let (digest, data) = (vec![1; 32].into(), vec![0; bytes].into());
        to_piece(v1::UploadBlobsRequest { digest, size, offset, data })
    }

    #[test]
    fn pieces_stay_inside_their_file() {
        assert_eq!(piece(300, 100, 200).unwrap().offset, 100);
        assert!(piece(0, 0, 0).is_ok());
        for (size, offset, bytes) in
            [(300, 101, 200), (1, 0, 0), (1 << 40, 0, PIECE_BYTES_MAX + 1), (300, u64::MAX, 200)]
        {
            assert_eq!(piece(size, offset, bytes).unwrap_err().field, "data");
        }
    }
}
