//! Runs of the cluster, as this worker's slots ask for them: described by a replica, parsed from their bundle, compiled here.
//!
//! Invariant: a run is used only where this worker's manifest is the one that the plan was made from.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use common::bundle::BundleFile;
use common::diagnostic::Code;
use common::task::{FailureKind, NodeResult};
use common::{ContentDigest, Diagnostic, Manifest, NodeId, RunId};
use dbt::compile::Compiler;
use dbt::context::Invocation;
use proto::description::Described;

use super::cache::{self, Bundle, Cache};
use super::profiles;
use super::profiles::Profiles;
use crate::run::{Artifacts, History, Opened, Run, Runs};
use crate::transcript::ToTranscript;
use crate::warehouse::Error;

/// Runs that are kept ready. One in use beyond this is opened anew when its next task comes.
const RUNS_MAX: usize = 32;

/// What the cluster knows of a run.
#[derive(Clone, Debug)]
pub struct Description {
    /// Names who counts the epochs: the fence's origin.
    pub cluster: String,
    pub described: Described,
}

/// Where descriptions, bundles and files come from. Calls block; they try every replica before they fail.
pub trait Source: Send + Sync {
    fn describe(&self, run: RunId) -> Result<Description, Error>;
    fn bundle(&self, digest: ContentDigest) -> Result<Vec<BundleFile>, Error>;
    /// At most the entry's size is read.
    fn file(&self, entry: &BundleFile) -> Result<Vec<u8>, Error>;
    /// Of those tasks of the run that have ended.
    fn outcomes(&self, run: RunId) -> Result<Vec<(NodeId, NodeResult)>, Error>;
}

/// What the cluster tells of one run.
struct Told {
    source: Arc<dyn Source>,
    run: RunId,
}

impl History for Told {
    fn outcomes(&self) -> Result<Vec<(NodeId, NodeResult)>, Error> {
        self.source.outcomes(self.run)
    }
}

/// The runs that this worker has opened.
pub struct Remote {
    source: Arc<dyn Source>,
    cache: Cache,
    profiles: Profiles,
    search: profiles::Search,
    open: Mutex<Known>,
    /// Manifests of open runs, by bundle and manifest digest: runs of one schedule, say, share theirs.
    manifests: Mutex<HashMap<(ContentDigest, String), Weak<Manifest>>>,
}

#[derive(Default)]
struct Known {
    runs: HashMap<RunId, Arc<Mutex<State>>>,
    /// Counts uses, so that the run used longest ago is known.
    clock: u64,
}

#[derive(Default)]
struct State {
    used_at: u64,
    outcome: Option<Result<Ready, Error>>,
}

#[derive(Clone)]
struct Ready {
    opened: Opened,
    /// Keeps the files on disk.
    _bundle: Arc<Bundle>,
}

impl Remote {
    pub fn new(source: Arc<dyn Source>, cache: Cache, search: profiles::Search) -> Self {
        let (open, manifests) = Default::default();
        Self { source, cache, profiles: Profiles::new(search.clone()), search, open, manifests }
    }

    fn state(&self, run: RunId) -> Arc<Mutex<State>> {
        let mut known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        known.clock += 1;
        let now = known.clock;
        let state = Arc::clone(known.runs.entry(run).or_default());
        if known.runs.len() > RUNS_MAX {
            // One that is being opened is locked, and used.
            let used_at = |state: &Arc<Mutex<State>>| state.try_lock().map_or(u64::MAX, |state| state.used_at);
            let oldest = known.runs.iter().filter(|(id, _)| **id != run).min_by_key(|(_, state)| used_at(state));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                known.runs.remove(&oldest);
            }
        }
        drop(known);
        if let Ok(mut state) = state.try_lock() {
            state.used_at = now;
        }
        state
    }

    fn open(&self, run: RunId) -> Result<Ready, Error> {
        let Description { cluster, described } = self.source.describe(run)?;
        let bundle = self.fetch(described.bundle)?;
        let (target, warehouse) = self.profiles.open(&described.target, &cluster)?;
        let invocation = Invocation {
            vars: Arc::new(described.options.vars.clone()),
            env: Arc::clone(&self.search.env),
            ..Invocation::default()
        };
        let manifest = self.manifest(&bundle.folder, &described, &invocation)?;
        let invocation = Invocation {
            verb: described.options.verb.as_str().to_owned(),
            full_refresh: described.options.full_refresh,
            empty: described.options.empty,
            store_failures: described.options.store_failures,
            invocation_id: run.to_string(),
            run_started_at: described.submitted_at,
            selected_resources: Arc::new(described.selected),
            output: Arc::new(ToTranscript),
            ..invocation
        };
        let compiler = Compiler::new(manifest, target.clone(), invocation);
        let told = Told { source: Arc::clone(&self.source), run };
        let run = Run::new(compiler, described.options, target, bundle.folder.clone(), Artifacts::Report)
            .with_history(Box::new(told));
        Ok(Ready { opened: Opened { run: Arc::new(run), warehouse }, _bundle: bundle })
    }

    /// The manifest that the run's plan was made from: one that an open run has, or else parsed.
    fn manifest(&self, folder: &Path, described: &Described, invocation: &Invocation) -> Result<Arc<Manifest>, Error> {
        let key = (described.bundle, described.manifest_digest.clone());
        let manifests = || self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(manifest) = manifests().get(&key).and_then(Weak::upgrade) {
            return Ok(manifest);
        }
        let manifest = Arc::new(parse(folder, described, invocation)?);
        let mut manifests = manifests();
        manifests.retain(|_, manifest| manifest.strong_count() > 0);
        manifests.insert(key, Arc::downgrade(&manifest));
        Ok(manifest)
    }

    fn fetch(&self, digest: ContentDigest) -> Result<Arc<Bundle>, Error> {
        if let Some(bundle) = self.cache.get(digest) {
            return Ok(bundle);
        }
        let entries = self.source.bundle(digest)?;
        for entry in self.cache.missing(digest, &entries).map_err(refuse_bundle)? {
            let content = self.source.file(&entry)?;
            self.cache.put(&entry, &content).map_err(refuse_bundle)?;
        }
        self.cache.assemble(digest, &entries).map_err(refuse_bundle)
    }
}

impl Runs for Remote {
    fn get(&self, run: RunId) -> Result<Opened, Error> {
        let state = self.state(run);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = &state.outcome {
            return outcome.clone().map(|ready| ready.opened);
        }
        let outcome = self.open(run);
        // What may go away by itself is tried again by the next task; what is wrong with the bundle stays wrong.
        if !matches!(&outcome, Err(error) if error.kind == FailureKind::Transient) {
            state.outcome = Some(outcome.clone());
        }
        outcome.map(|ready| ready.opened)
    }

    fn at_hand(&self, run: RunId) -> Option<Arc<Run>> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is being opened is locked.
        let state = known.runs.get(&run)?.try_lock().ok()?;
        let ready = state.outcome.as_ref()?.as_ref().ok()?;
        Some(Arc::clone(&ready.opened.run))
    }
}

fn parse(folder: &Path, described: &Described, invocation: &Invocation) -> Result<Manifest, Error> {
    let (manifest, findings) = dbt::bundle::parse(folder, &described.target, invocation);
    let refuse = |message: String| Error::new(FailureKind::System, Code::BundleDiffers, message);
    let Some(manifest) = manifest else {
        let first = findings.into_iter().find(Diagnostic::is_error).map(|finding| finding.message);
        return Err(refuse(format!("this worker cannot parse the bundle: {}", first.unwrap_or_default())));
    };
    let digest = dbt::artifacts::digest(&manifest);
    if digest != described.manifest_digest {
        return Err(refuse(format!(
            "this worker (kontiki {}) parses the bundle to another manifest than the scheduler did: {digest} instead of {}",
            env!("CARGO_PKG_VERSION"),
            described.manifest_digest
        )));
    }
    Ok(manifest)
}

fn refuse_bundle(error: cache::Error) -> Error {
    let kind = match &error {
        // The next attempt may find room, or a replica whose disk is whole.
        cache::Error::Io { .. } | cache::Error::Content { .. } | cache::Error::Locked(_) => FailureKind::Transient,
        cache::Error::TooManyFiles(..) | cache::Error::TooLarge { .. } | cache::Error::Path(..) => FailureKind::System,
    };
    Error::new(kind, Code::Io, error.to_string())
}
