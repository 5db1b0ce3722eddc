//! A project as it travels through a cluster: which files belong to it, what names them, and how every process reads them alike.
//!
//! Invariants: a bundle holds what parsing and running read and nothing else, so never `profiles.yml`; equal files have equal digests
//! on any machine; replicas and workers parse a bundle through [`parse`] and so agree on its manifest; parsing reads no file outside of
//! the bundle.

mod collect;
mod confine;

use std::path::Path;
use std::sync::Arc;

use common::target::Target;
use common::{Diagnostic, Manifest};
use sha2::{Digest, Sha256};

use crate::context::{Invocation, Yaml};
use crate::files::ProjectFiles;
use crate::parse::ParseOptions;
use crate::project::RawProject;

pub use collect::{Source, collect};

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFile {
    /// Relative to the project's folder, with forward slashes.
    pub path: String,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub size: u64,
}

/// Names a bundle: SHA-256 over path, a zero byte and digest of each file, in the order of their paths.
pub fn digest<'f>(files: impl IntoIterator<Item = &'f BundleFile>) -> [u8; 32] {
    let mut files: Vec<&BundleFile> = files.into_iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.path.as_bytes());
        hash.update([0]);
        hash.update(file.digest);
    }
    hash.finalize().into()
}

/// Parses the project in `root` for a run. Of `invocation`, variables and environment count; what only one run has (its id, its time,
/// its flags) must not be seen while parsing, so that runs share a manifest.
pub fn parse(root: &Path, target: &Target, invocation: &Invocation) -> (Option<Manifest>, Vec<Diagnostic>) {
    let invocation =
        Invocation { vars: Arc::clone(&invocation.vars), env: Arc::clone(&invocation.env), ..Invocation::default() };
    // What only the process with the credentials knows of a target cannot be part of a manifest that all agree on.
    let target = Target { extra: common::JsonMap::new(), ..target.clone() };
    let mut diagnostics = Vec::new();
    let manifest = read(root, &target, invocation, &mut diagnostics);
    let manifest = manifest.filter(|_| !diagnostics.iter().any(Diagnostic::is_error));
    (manifest, diagnostics)
}

fn read(root: &Path, target: &Target, invocation: Invocation, diagnostics: &mut Vec<Diagnostic>) -> Option<Manifest> {
    let context = Yaml::configuration(invocation.clone(), Some(target.clone()));
    let render = |text: &str| context.value(text);
    let project = Arc::new(RawProject::load(root, "", diagnostics)?.render(&render, true, diagnostics)?);
    confine::check(&project, root, diagnostics)?;
    let projects = crate::packages::load(Arc::clone(&project), &render, true, diagnostics);
    for package in &projects[1..] {
        confine::check(package, root, diagnostics)?;
    }
    let files = ProjectFiles::discover(projects, diagnostics);
    let parsed = crate::parse(&files, target, &ParseOptions { invocation, cache: None });
    diagnostics.extend(parsed.diagnostics);
    let selectors = crate::select::selectors::load(&project, &render, diagnostics);
    Some(Manifest { selectors, ..parsed.manifest })
}

#[cfg(test)]
mod tests;
