//! A project's files, named by their content.

use serde::{Deserialize, Serialize};

use crate::digest::ContentDigest;

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BundleFile {
    /// Relative to the project's root, with forward slashes, without `.` and `..`.
    pub path: String,
    pub digest: ContentDigest,
    /// In bytes.
    pub size: u64,
}
