//! Everything a parse depends on, in a form that can be compared with a later state of the world.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use common::target::Target;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::environment::{self, Names};
use super::{Sum, sum};
use crate::files::{File, FileKind, ProjectFiles, Stamp};
use crate::parse::ParseOptions;

/// A stamp younger than this, seen from the cache, does not prove that a file is unchanged: it may have been written twice within
/// one tick of the file system's clock.
const STAMP_TRUSTED_AFTER_NS: i64 = 2_000_000_000;

#[derive(Serialize, Deserialize, PartialEq)]
pub struct Inputs {
    /// Settings of the projects, target, variables and flags.
    settings: Sum,
    /// Of each environment variable that the project's templates name; `None` where it was not set.
    environment: BTreeMap<String, Option<Sum>>,
    /// Whether a template computes the name of a variable; then all of the environment counts.
    whole_environment: Option<Sum>,
    files: Vec<FileInput>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FileInput {
    package: String,
    kind: FileKind,
    path: String,
    stamp: Stamp,
    contents: Sum,
}

impl Inputs {
    /// `None` where a file cannot be read.
    pub fn of(files: &ProjectFiles, target: &Target, options: &ParseOptions) -> Option<Self> {
        let mut names = Names::default();
        for package in &files.packages {
            names.scan(&package.project.source.text);
        }
        let read: Vec<(FileInput, Names)> =
            each(files).into_par_iter().map(|(package, file)| FileInput::of(package, file)).collect::<Option<_>>()?;
        let mut inputs = Vec::with_capacity(read.len());
        for (input, found) in read {
            inputs.push(input);
            names.literal.extend(found.literal);
            names.computed |= found.computed;
        }
        let env = &options.invocation.env;
        let environment = names.literal.into_iter().map(|name| {
            let value = environment::value(env, &name);
            (name, value)
        });
        Some(Self {
            settings: settings(files, target, options),
            environment: environment.collect(),
            whole_environment: names.computed.then(|| environment::whole(env)),
            files: inputs,
        })
    }

    /// Whether a parse now would find the same. `written_ns` is when these inputs were written.
    pub fn compare(
        &self,
        files: &ProjectFiles,
        target: &Target,
        options: &ParseOptions,
        written_ns: i64,
    ) -> Comparison {
        let env = &options.invocation.env;
        let is_same = self.settings == settings(files, target, options)
            && self.environment.iter().all(|(name, value)| *value == environment::value(env, name))
            && self.whole_environment.is_none_or(|whole| whole == environment::whole(env));
        let now = each(files);
        if !is_same || now.len() != self.files.len() {
            return Comparison::Changed;
        }
        let pairs = || self.files.par_iter().zip(&now);
        if !pairs().all(|(input, (package, file))| input.is_of(package, file)) {
            return Comparison::Changed;
        }
        let states: Vec<State> = pairs().map(|(input, (_, file))| input.state(file, written_ns)).collect();
        if states.contains(&State::Edited) {
            Comparison::Changed
        } else if states.contains(&State::Restamped) {
            Comparison::Restamped
        } else {
            Comparison::Unchanged
        }
    }

    /// The inputs of the same project with the stamps that its files have now.
    pub fn restamped(mut self, files: &ProjectFiles) -> Self {
        for (input, (_, file)) in self.files.iter_mut().zip(each(files)) {
            input.stamp = file.stamp;
        }
        self
    }
}

/// How a project differs from recorded inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Unchanged,
    /// The same contents; recording the files' stamps anew would spare reading them the next time.
    Restamped,
    Changed,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unchanged,
    /// The same contents, which had to be read to see it.
    Restamped,
    Edited,
}

impl FileInput {
    fn of(package: &str, file: &File) -> Option<(Self, Names)> {
        let mut names = Names::default();
        if let Ok(text) = file.text() {
            names.scan(text);
        }
        let input = Self {
            package: package.to_owned(),
            kind: file.kind,
            path: file.path.clone(),
            stamp: file.stamp,
            contents: contents(file)?,
        };
        Some((input, names))
    }

    fn is_of(&self, package: &str, file: &File) -> bool {
        self.package == package && self.kind == file.kind && self.path == file.path
    }

    fn state(&self, file: &File, written_ns: i64) -> State {
        let settles = |at_ns: i64| file.stamp.modified_ns.saturating_add(STAMP_TRUSTED_AFTER_NS) < at_ns;
        if self.stamp == file.stamp && settles(written_ns) {
            return State::Unchanged;
        }
        match self.stamp.size == file.stamp.size && contents(file) == Some(self.contents) {
            true if settles(now_ns()) => State::Restamped,
            true => State::Unchanged,
            false => State::Edited,
        }
    }
}

fn each(files: &ProjectFiles) -> Vec<(&str, &File)> {
    let packages = files.packages.iter();
    packages.flat_map(|package| package.files.iter().map(|file| (package.project.name.as_str(), file))).collect()
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// Of a seed only the checksum counts, since only that is parsed.
fn contents(file: &File) -> Option<Sum> {
    match file.kind {
        FileKind::Seed => file.checksum().ok().map(|checksum| sum(checksum.checksum.as_bytes())),
        _ => file.text().ok().map(|text| sum(text.as_bytes())),
    }
}

fn settings(files: &ProjectFiles, target: &Target, options: &ParseOptions) -> Sum {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for package in &files.packages {
        // The rendered settings, since templates in dbt_project.yml may give others than before.
        add(&format!("{:?}", package.project));
    }
    add(&format!("{target:?}"));
    add(&format!("{:?}", options.invocation.vars));
    add(&format!("{:?}", options.invocation.flags));
    add(&options.invocation.store_failures.to_string());
    hasher.finalize().into()
}
