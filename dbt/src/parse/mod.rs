//! From a project's files to a `Manifest`: every node with its configuration, and every finding about the project.
//!
//! The steps, each over all packages: macros, then the files of nodes and the properties files (in parallel), then what properties
//! say is applied to nodes, configs are layered and names generated, generic tests, sources and exposures are made, and names are
//! resolved. Invariant: one broken file never hides the findings of another.

pub mod calls;
pub mod config;
pub mod digest;
pub mod extract;
pub mod fqn;
pub mod generic_test;
pub mod python_text;

mod data_tests;
mod docs;
mod draft;
mod exposures;
mod finish;
mod fixtures;
mod job;
mod left_out;
mod macros;
mod microbatch;
mod package;
mod patch;
mod properties_files;
mod sources;
mod steps;
mod templates;
mod unit_tests;

use std::path::PathBuf;

use common::target::Target;
use common::{Diagnostic, Manifest};

use crate::cache::{Cache, Memo};
use crate::context::Invocation;
use crate::files::ProjectFiles;

pub use patch::reference;

/// What parsing needs besides files and target.
#[derive(Clone, Default)]
pub struct ParseOptions {
    /// Variables, environment and flags, as templates see them.
    pub invocation: Invocation,
    /// The folder in which results of earlier parses are kept; `None` with `--no-partial-parse` and where nothing may be written.
    pub cache: Option<PathBuf>,
}

/// A parsed project. The manifest is complete only where no diagnostic is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub manifest: Manifest,
    pub diagnostics: Vec<Diagnostic>,
    /// Names the parse where its result is kept.
    pub fingerprint: Option<Fingerprint>,
}

/// Results with the same fingerprint are the same result, whichever call they were handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Parses and resolves a project with its packages. Where nothing changed since the last time, that result is taken; otherwise files
/// that did not change are not parsed again, unless something that their templates looked at did.
pub fn parse(files: &ProjectFiles, target: &Target, options: &ParseOptions) -> Parsed {
    let Some(cache) = options.cache.as_deref().map(Cache::new) else {
        return job::run(files, target, options, &Memo::off());
    };
    if let Some(parsed) = cache.load(files, target, options) {
        return parsed;
    }
    let memo = cache.memo();
    let mut parsed = job::run(files, target, options, &memo);
    let is_whole = !parsed.diagnostics.iter().any(Diagnostic::is_error);
    let store = || if is_whole { cache.store(files, target, options, &parsed) } else { None };
    let (fingerprint, ()) = rayon::join(store, || cache.keep_memo(memo));
    parsed.fingerprint = fingerprint;
    parsed
}
