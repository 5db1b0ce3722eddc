//! Everything a parse depends on, in a form that can be compared with a later state of the world.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use common::target::Target;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::{File, FileKind, ProjectFiles, Stamp};
use crate::parse::ParseOptions;

/// A stamp younger than this, seen from the cache, does not prove that a file is unchanged: it may have been written twice within
/// one tick of the file system's clock.
const STAMP_TRUSTED_AFTER_NS: i64 = 2_000_000_000;

type Sum = [u8; 32];

#[derive(Serialize, Deserialize, PartialEq)]
pub struct Inputs {
    /// Version of the program, settings of the projects, target, variables and flags.
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
            let value = env.get(&name).map(|value| sum(value.as_bytes()));
            (name, value)
        });
        Some(Self {
            settings: settings(files, target, options),
            environment: environment.collect(),
            whole_environment: names.computed.then(|| whole_environment(options)),
            files: inputs,
        })
    }

    /// What a parse now would find changed. `written_ns` is when these inputs were written.
    pub fn compare<'f>(
        &self,
        files: &'f ProjectFiles,
        target: &Target,
        options: &ParseOptions,
        written_ns: i64,
    ) -> Changes<'f> {
        let env = &options.invocation.env;
        let is_same = self.settings == settings(files, target, options)
            && self.environment.iter().all(|(name, value)| *value == env.get(name).map(|value| sum(value.as_bytes())))
            && self.whole_environment.is_none_or(|whole| whole == whole_environment(options));
        let now = each(files);
        if !is_same || now.len() != self.files.len() {
            return Changes::Everything;
        }
        if !self.files.iter().zip(&now).all(|(input, (package, file))| input.is_of(package, file)) {
            return Changes::Everything;
        }
        let states: Vec<State> =
            self.files.par_iter().zip(&now).map(|(input, (_, file))| input.state(file, written_ns)).collect();
        let edited = now.iter().zip(&states).filter(|(_, state)| **state == State::Edited).map(|(file, _)| *file);
        Changes::Files { edited: edited.collect(), restamped: states.contains(&State::Restamped) }
    }

    /// The inputs of the same project after `compare`, with its files as they are now.
    pub fn updated(mut self, files: &ProjectFiles, edited: &[(&str, &File)]) -> Option<Self> {
        for (input, (package, file)) in self.files.iter_mut().zip(each(files)) {
            input.stamp = file.stamp;
            if edited
                .iter()
                .any(|(of, changed)| *of == package && changed.path == file.path && changed.kind == file.kind)
            {
                input.contents = contents(file)?;
            }
        }
        Some(self)
    }
}

/// How a project differs from recorded inputs.
pub enum Changes<'f> {
    /// More than the contents of files, so nothing of the result can be used.
    Everything,
    Files {
        /// Files of other contents than before, each with the name of its package.
        edited: Vec<(&'f str, &'f File)>,
        /// Whether recording the files' stamps anew would spare reading them the next time.
        restamped: bool,
    },
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
    add(env!("CARGO_PKG_VERSION"));
    for (path, text) in crate::builtin::FILES {
        add(path);
        add(text);
    }
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

fn whole_environment(options: &ParseOptions) -> Sum {
    sum(format!("{:?}", options.invocation.env).as_bytes())
}

fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}

/// Names that occur in `env_var(…)`.
#[derive(Default)]
struct Names {
    literal: Vec<String>,
    computed: bool,
}

impl Names {
    fn scan(&mut self, text: &str) {
        for (position, found) in text.match_indices("env_var") {
            let rest = text[position + found.len()..].trim_start();
            let Some(argument) = rest.strip_prefix('(').map(str::trim_start) else { continue };
            let quote = argument.chars().next().filter(|c| matches!(c, '\'' | '"'));
            match quote.and_then(|quote| argument[1..].split_once(quote)) {
                Some((name, _)) => self.literal.push(name.to_owned()),
                None => self.computed = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_variables_that_templates_name() {
        let mut names = Names::default();
        names.scan("{{ env_var('A') }} {{ env_var( \"B\", 'x') }} env_var is a word");
        assert_eq!((names.literal, names.computed), (vec!["A".to_owned(), "B".to_owned()], false));
        let mut names = Names::default();
        names.scan("{{ env_var(name) }}");
        assert_eq!((names.literal, names.computed), (Vec::new(), true));
    }
}
