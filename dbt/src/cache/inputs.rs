//! Everything a parse depends on, in a form that can be compared with a later state of the world.

use std::collections::BTreeMap;

use common::target::Target;
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
        let mut inputs = Vec::new();
        for package in &files.packages {
            names.scan(&package.project.source.text);
            for file in &package.files {
                if let Ok(text) = file.text() {
                    names.scan(text);
                }
                inputs.push(FileInput {
                    package: package.project.name.clone(),
                    kind: file.kind,
                    path: file.path.clone(),
                    stamp: file.stamp,
                    contents: contents(file)?,
                });
            }
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

    /// Whether a parse now would have the same inputs. `written_ns` is when these were written.
    pub fn are_unchanged(
        &self,
        files: &ProjectFiles,
        target: &Target,
        options: &ParseOptions,
        written_ns: i64,
    ) -> bool {
        let env = &options.invocation.env;
        self.settings == settings(files, target, options)
            && self.environment.iter().all(|(name, value)| *value == env.get(name).map(|value| sum(value.as_bytes())))
            && self.whole_environment.is_none_or(|whole| whole == whole_environment(options))
            && self.files_are_unchanged(files, written_ns)
    }

    fn files_are_unchanged(&self, files: &ProjectFiles, written_ns: i64) -> bool {
        let now = files.packages.iter().flat_map(|package| package.files.iter().map(move |file| (package, file)));
        let mut before = self.files.iter();
        for (package, file) in now {
            let Some(input) = before.next() else { return false };
            let same_file = input.package == package.project.name && input.kind == file.kind && input.path == file.path;
            if !same_file || !is_unchanged(input, file, written_ns) {
                return false;
            }
        }
        before.next().is_none()
    }
}

fn is_unchanged(input: &FileInput, file: &File, written_ns: i64) -> bool {
    let is_settled = file.stamp.modified_ns.saturating_add(STAMP_TRUSTED_AFTER_NS) < written_ns;
    if input.stamp == file.stamp && is_settled {
        return true;
    }
    input.stamp.size == file.stamp.size && contents(file) == Some(input.contents)
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
