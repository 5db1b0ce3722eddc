//! Parsed bundles, kept for the next run of the same.
//!
//! Invariants: a bundle is parsed once, however many ask for it at the same time, and to its end where nobody waits any more: who asks
//! again finds it. One is parsed at a time and [`KEPT`] are kept; what is parsed sees the files of its bundle only, in a folder that is
//! gone afterwards.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use common::bundle::BundleFile;
use common::target::Target;
use common::{ContentDigest, Diagnostic, JsonMap, Manifest};
use dbt::context::Invocation;
use dbt::graph::Graph;
use tokio::sync::Mutex as AsyncMutex;
use tonic::Status;

use super::refusal;
use crate::replica::{Consistency, Handle};

/// Manifests that are kept.
const KEPT: usize = 8;
/// Findings of a project that are kept.
const FINDINGS_MAX: usize = 100;

/// What decides what a bundle is parsed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub bundle: ContentDigest,
    pub target: Target,
    pub vars: JsonMap,
}

/// A bundle that was parsed.
pub struct Parsed {
    /// None where the project is wrong; `findings` say how.
    pub project: Option<Ready>,
    pub findings: Vec<Diagnostic>,
}

/// A project that can be planned.
pub struct Ready {
    pub manifest: Manifest,
    pub graph: Graph,
    pub digest: String,
}

/// One that is being parsed, or was.
type Slot = Arc<OnceLock<Arc<Parsed>>>;

pub struct Manifests {
    handle: Handle,
    /// The one used last at the end.
    kept: Mutex<VecDeque<(Key, Slot)>>,
    /// Held while a bundle is parsed, which uses several cores by itself.
    turn: Arc<AsyncMutex<()>>,
}

impl Manifests {
    pub fn new(handle: Handle) -> Self {
        // What a process that died left behind, if anything.
        let _ = fs::remove_dir_all(beside_blobs(&handle));
        Self { handle, kept: Mutex::default(), turn: Arc::default() }
    }

    pub async fn get(&self, key: &Key) -> Result<Arc<Parsed>, Status> {
        let slot = self.slot(key);
        if let Some(parsed) = slot.get() {
            return Ok(Arc::clone(parsed));
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever had the turn before may have parsed the same.
        if let Some(parsed) = slot.get() {
            return Ok(Arc::clone(parsed));
        }
        let files = self.files(key).await?;
        let (handle, key) = (self.handle.clone(), key.clone());
        let parsed = tokio::task::spawn_blocking(move || {
            let folder = Folder::assemble(&handle, &files)?;
            let parsed = Arc::clone(slot.get_or_init(|| Arc::new(read(&folder.path, &key))));
            drop(turn);
            Ok(parsed)
        });
        let parsed = parsed.await.map_err(|_| Status::internal("the project could not be parsed: a defect"))?;
        parsed.map_err(|error: io::Error| Status::unavailable(format!("this replica cannot read the project: {error}")))
    }

    fn slot(&self, key: &Key) -> Slot {
        // Every change is whole before anything that could panic.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| known == key).and_then(|place| kept.remove(place));
        let (key, slot) = known.unwrap_or_else(|| (key.clone(), Slot::default()));
        kept.push_back((key, Arc::clone(&slot)));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        slot
    }

    async fn files(&self, key: &Key) -> Result<Vec<BundleFile>, Status> {
        let files = self
            .handle
            .read(Consistency::Stale, |state| state.projects().bundle(&key.bundle).map(|bundle| bundle.files.clone()));
        let files = files.await.map_err(|error| refusal::failed(&error))?;
        files.ok_or_else(|| refusal::not_found(format!("bundle {} is not deployed", key.bundle)))
    }
}

fn read(folder: &Path, key: &Key) -> Parsed {
    let invocation = Invocation {
        vars: Arc::new(key.vars.clone()),
        env: Arc::new(std::env::vars_os().filter_map(text).collect()),
        ..Invocation::default()
    };
    let (manifest, mut findings) = dbt::bundle::parse(folder, &key.target, &invocation);
    // Errors say why; warnings only come along.
    findings.sort_by_key(|finding| !finding.is_error());
    findings.truncate(FINDINGS_MAX);
    let project = manifest.map(|manifest| {
        let (graph, digest) = (Graph::new(&manifest), dbt::artifacts::digest(&manifest));
        Ready { manifest, graph, digest }
    });
    Parsed { project, findings }
}

fn text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// On the same disk, so that files can be linked.
fn beside_blobs(handle: &Handle) -> PathBuf {
    let mut path = handle.blob("");
    path.pop();
    path.join("parsing")
}

/// A bundle's files by their paths.
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Links to this replica's blobs; copies where the disk has no links.
    fn assemble(handle: &Handle, files: &[BundleFile]) -> io::Result<Self> {
        let folder = Self { path: beside_blobs(handle).join(super::fresh::id().to_string()) };
        fs::create_dir_all(&folder.path)?;
        let mut made = folder.path.clone();
        for file in files {
            let (from, to) = (handle.blob(&file.digest.to_string()), folder.path.join(&file.path));
            if let Some(parent) = to.parent().filter(|parent| *parent != made) {
                fs::create_dir_all(parent)?;
                made = parent.to_owned();
            }
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a folder that was parsed could not be removed");
        }
    }
}
