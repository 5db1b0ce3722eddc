//! Deployed projects: bundles, and the files they name. Only the index; the bytes of files are beside the state.
//!
//! ```text
//!   project ──(last deployments)──▶ bundle ──▶ files ──▶ blobs          run ──▶ bundle
//! ```
//!
//! Invariants: every file of a bundle is held whole; a bundle is held as long as a project deployed it lately or a run that is
//! remembered was made from it; blobs that no bundle names are loose, and are collected after a while.
//! Projects are never forgotten.

mod blob;
mod bundle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::bundle::BundleFile;
use common::{ContentDigest, Timestamp};
use serde::{Deserialize, Serialize};

pub use blob::Blob;
pub use bundle::{Bundle, FILES_MAX, digest};

use super::reply::Rejection;

/// Deployments of a project that are kept.
const DEPLOYMENTS_KEPT: usize = 10;
/// Most bytes of all files together.
pub const STORED_BYTES_MAX: u64 = 16 << 30;
/// Most blobs that are forgotten at once.
const COLLECTED_MAX: usize = 10_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Projects {
    projects: BTreeMap<String, VecDeque<Deployment>>,
    bundles: BTreeMap<ContentDigest, Bundle>,
    blobs: BTreeMap<ContentDigest, Blob>,
    /// Bytes announced for all blobs.
    #[serde(skip)]
    stored: u64,
    /// Blobs that no bundle names, by when somebody last had to do with them.
    #[serde(skip)]
    loose: BTreeSet<(Timestamp, ContentDigest)>,
}

/// One revision of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub bundle: ContentDigest,
    pub revision: String,
    pub at: Timestamp,
}

impl Projects {
    /// Names of projects and what each deployed last.
    pub fn latest(&self) -> impl Iterator<Item = (&str, &Deployment)> {
        self.projects.iter().filter_map(|(name, deployments)| Some((name.as_str(), deployments.back()?)))
    }

    /// What is kept of the deployments of a project, the last one at the end.
    pub fn deployments(&self, project: &str) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.projects.get(project).into_iter().flatten()
    }

    pub fn bundle(&self, digest: &ContentDigest) -> Option<&Bundle> {
        self.bundles.get(digest)
    }

    pub fn blob(&self, digest: &ContentDigest) -> Option<&Blob> {
        self.blobs.get(digest)
    }

    pub fn blobs(&self) -> impl Iterator<Item = (&ContentDigest, &Blob)> {
        self.blobs.iter()
    }

    /// When the blob that is loose for the longest time became so.
    pub fn loose_since(&self) -> Option<Timestamp> {
        self.loose.first().map(|(since, _)| *since)
    }

    /// Takes a piece of a blob; gives back how many bytes are there. A piece that is there already is taken again.
    pub(super) fn put(
        &mut self,
        digest: ContentDigest,
        size: u64,
        piece: (u64, u64),
        at: Timestamp,
    ) -> Result<u64, Rejection> {
        let next = self.with_piece(&digest, size, piece, at)?;
        let received = next.received;
        let known = self.blobs.get(&digest).map(|blob| blob.touched_at);
        if known.is_none() {
            self.stored += size;
        }
        if next.bundles == 0 {
            self.loose.remove(&(known.unwrap_or(at), digest));
            self.loose.insert((at, digest));
        }
        self.blobs.insert(digest, next);
        Ok(received)
    }

    /// Whether a piece of a blob, its offset and length, would be taken.
    pub fn takes(&self, digest: &ContentDigest, size: u64, piece: (u64, u64)) -> bool {
        self.with_piece(digest, size, piece, Timestamp::default()).is_ok()
    }

    fn with_piece(
        &self,
        digest: &ContentDigest,
        size: u64,
        piece: (u64, u64),
        at: Timestamp,
    ) -> Result<Blob, Rejection> {
        let known = self.blobs.get(digest).cloned();
        if known.is_none() && self.stored.saturating_add(size) > STORED_BYTES_MAX {
            return Err(Rejection::StorageFull { max: STORED_BYTES_MAX });
        }
        let blob = known.unwrap_or(Blob { size, received: 0, touched_at: at, bundles: 0 });
        blob.with_piece(size, piece, at)
    }

    /// Makes the bundle the project's latest; false where it was that already.
    pub(super) fn deploy(
        &mut self,
        project: String,
        deployment: Deployment,
        files: Vec<BundleFile>,
    ) -> Result<bool, Rejection> {
        bundle::check(&files)?;
        let digest = deployment.bundle;
        if !self.bundles.contains_key(&digest) {
            self.check_blobs(&files)?;
        }
        let at = deployment.at;
        let deployments = self.projects.entry(project.clone()).or_default();
        if deployments.back().is_some_and(|latest| latest.bundle == digest) {
            return Ok(false);
        }
        let before: Vec<Deployment> = deployments
            .iter()
            .position(|known| known.bundle == digest)
            .and_then(|at| deployments.remove(at))
            .into_iter()
            .collect();
        deployments.push_back(deployment);
        let excess = deployments.len().saturating_sub(DEPLOYMENTS_KEPT);
        let dropped: Vec<Deployment> = before.into_iter().chain(deployments.drain(..excess)).collect();
        self.hold(digest, project, files);
        for deployment in dropped {
            self.release(&deployment.bundle, at);
        }
        Ok(true)
    }

    fn check_blobs(&self, files: &[BundleFile]) -> Result<(), Rejection> {
        let is_held = |file: &&BundleFile| {
            self.blobs.get(&file.digest).is_some_and(|blob| blob.size == file.size && blob.is_complete())
        };
        let mut missing = files.iter().filter(|file| !is_held(file));
        match missing.next() {
            Some(first) => Err(Rejection::MissingBlobs { first: first.digest, missing: 1 + missing.count() as u32 }),
            None => Ok(()),
        }
    }

    /// One more has to do with the bundle.
    fn hold(&mut self, digest: ContentDigest, project: String, files: Vec<BundleFile>) {
        if let Some(bundle) = self.bundles.get_mut(&digest) {
            bundle.holders += 1;
            return;
        }
        for digest in bundle::distinct(&files) {
            self.name_blob(digest);
        }
        self.bundles.insert(digest, Bundle { project, files, holders: 1 });
    }

    fn name_blob(&mut self, digest: ContentDigest) {
        if let Some(blob) = self.blobs.get_mut(&digest) {
            blob.bundles += 1;
            self.loose.remove(&(blob.touched_at, digest));
        }
    }

    /// A run was made from the bundle.
    pub(super) fn retain(&mut self, digest: &ContentDigest) -> Result<(), Rejection> {
        let bundle = self.bundles.get_mut(digest).ok_or(Rejection::UnknownBundle(*digest))?;
        bundle.holders += 1;
        Ok(())
    }

    /// A deployment or a run of the bundle is forgotten.
    pub(super) fn release(&mut self, digest: &ContentDigest, at: Timestamp) {
        let Some(bundle) = self.bundles.get_mut(digest) else { return };
        bundle.holders = bundle.holders.saturating_sub(1);
        if bundle.holders > 0 {
            return;
        }
        let files = self.bundles.remove(digest).map(|bundle| bundle.files).unwrap_or_default();
        for digest in bundle::distinct(&files) {
            let Some(blob) = self.blobs.get_mut(&digest) else { continue };
            blob.bundles = blob.bundles.saturating_sub(1);
            if blob.bundles == 0 {
                blob.touched_at = at;
                self.loose.insert((at, digest));
            }
        }
    }

    /// Forgets loose blobs that nobody had to do with since `before`.
    pub(super) fn collect(&mut self, before: Timestamp) -> Vec<ContentDigest> {
        let old = self.loose.iter().take_while(|(since, _)| *since < before).take(COLLECTED_MAX);
        let old: Vec<(Timestamp, ContentDigest)> = old.copied().collect();
        for key in &old {
            self.loose.remove(key);
            if let Some(blob) = self.blobs.remove(&key.1) {
                self.stored -= blob.size;
            }
        }
        old.into_iter().map(|(_, digest)| digest).collect()
    }

    /// Rebuilds what follows from the rest, given the bundles of all runs.
    pub(super) fn derive(&mut self, runs: impl Iterator<Item = ContentDigest>) {
        for blob in self.blobs.values_mut() {
            blob.bundles = 0;
        }
        for bundle in self.bundles.values_mut() {
            bundle.holders = 0;
            for digest in bundle::distinct(&bundle.files) {
                if let Some(blob) = self.blobs.get_mut(&digest) {
                    blob.bundles += 1;
                }
            }
        }
        let deployed = self.projects.values().flatten().map(|deployment| deployment.bundle);
        for digest in deployed.chain(runs) {
            if let Some(bundle) = self.bundles.get_mut(&digest) {
                bundle.holders += 1;
            }
        }
        self.stored = self.blobs.values().map(|blob| blob.size).sum();
        let loose = self.blobs.iter().filter(|(_, blob)| blob.bundles == 0);
        self.loose = loose.map(|(digest, blob)| (blob.touched_at, *digest)).collect();
    }
}
