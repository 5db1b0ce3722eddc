//! `profiles.yml`: which warehouse a project is built on, and how to reach it.
//!
//! Invariants: secrets end up in `Connection` only, never in `Target`, never in a diagnostic; templates of targets that are not
//! chosen are never rendered; a key that Kontiki cannot honour is refused by name.

mod duckdb;
mod location;
mod output;
mod postgres;

use std::path::PathBuf;

use common::diagnostic::Code;
use common::target::{Connection, Target};
use common::{Diagnostic, Json};

use crate::files;
use crate::yaml::{self, KeyPart, Mapping, Node, Source, Value};

pub use duckdb::database_of_path;
pub use location::{FILE_NAME, find_dir};

/// What the command line and `dbt_project.yml` say.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The folder of `profiles.yml`, from `find_dir`.
    pub profiles_dir: PathBuf,
    /// `profile:` of the project, rendered, unless `--profile` names another.
    pub profile: Option<String>,
    /// `--target`
    pub target: Option<String>,
    /// `--threads`
    pub threads: Option<u32>,
}

/// A chosen output.
#[derive(Clone)]
pub struct Profile {
    pub target: Target,
    pub connection: Connection,
    /// `config:` of `profiles.yml`, the old place of flags.
    pub flags: Mapping,
}

/// Reads `profiles.yml` and validates the chosen output. `template` renders with `env_var` (secrets included) and `var`.
pub fn load(choice: &Choice, template: &yaml::Render<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Profile> {
    let path = choice.profiles_dir.join(FILE_NAME);
    let display = path.to_string_lossy().into_owned();
    let Some(name) = &choice.profile else {
        diagnostics.push(
            Diagnostic::error(Code::ProfileNotFound, "no profile was specified for this dbt project")
                .hint(format!("add 'profile: …' to dbt_project.yml; profiles are in {display}")),
        );
        return None;
    };
    if !path.is_file() {
        diagnostics.push(
            Diagnostic::error(
                Code::ProfileNotFound,
                format!("could not find profile named '{name}': there is no {display}"),
            )
            .hint("create it, or name its folder with --profiles-dir or DBT_PROFILES_DIR"),
        );
        return None;
    }
    let text = match files::read_text(&path, &display) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let source = Source::new(display, text);
    let findings = diagnostics.len();
    let root = yaml::load(&source, diagnostics);
    conceal(&mut diagnostics[findings..]);
    let root = root?;
    let findings = diagnostics.len();
    let profile = Reader { source: &source, template, diagnostics }.profile(&root, name, choice);
    conceal(&mut diagnostics[findings..]);
    profile
}

/// A line of `profiles.yml` may hold a password: it is not shown.
fn conceal(diagnostics: &mut [Diagnostic]) {
    for location in diagnostics.iter_mut().filter_map(|diagnostic| diagnostic.location.as_mut()) {
        location.source_line = None;
    }
}

struct Reader<'a> {
    source: &'a Source,
    template: &'a yaml::Render<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn profile(&mut self, root: &Node, name: &str, choice: &Choice) -> Option<Profile> {
        let Value::Mapping(profiles) = &root.value else {
            self.report(Code::ProfileInvalid, root, "profiles.yml is empty or not a mapping".to_owned(), None);
            return None;
        };
        let Some(profile) = profiles.get(name) else {
            let known = profiles.keys().filter(|key| *key != "config");
            let hint = format!("it has: {}", known.collect::<Vec<_>>().join(", "));
            self.report(Code::ProfileNotFound, root, format!("could not find profile named '{name}'"), Some(hint));
            return None;
        };
        if profile.is_null() {
            self.report(Code::ProfileInvalid, profile, format!("profile '{name}' is empty"), None);
            return None;
        }
        let target = self.target_name(profile, choice)?;
        let output = self.output(profile, name, &target)?;
        let flags = root.get("config").and_then(Node::as_mapping).cloned().unwrap_or_default();
        let rendered = self.render(output);
        let (target, connection) = output::read(&rendered, (name, &target), choice, self.source, self.diagnostics)?;
        Some(Profile { target, connection, flags })
    }

    fn target_name(&mut self, profile: &Node, choice: &Choice) -> Option<String> {
        if let Some(target) = &choice.target {
            return Some(target.clone());
        }
        let Some(target) = profile.get("target").filter(|node| !node.is_null()) else {
            return Some("default".to_owned());
        };
        let before = self.diagnostics.len();
        let rendered = yaml::render(target, self.source, self.template, &|_| false, self.diagnostics);
        if self.diagnostics.len() > before {
            return None;
        }
        match rendered.to_json() {
            Json::String(name) => Some(name),
            other => Some(other.to_string()),
        }
    }

    fn output<'n>(&mut self, profile: &'n Node, name: &str, target: &str) -> Option<&'n Node> {
        let Some(outputs) = profile.get("outputs").and_then(Node::as_mapping) else {
            self.report(
                Code::ProfileInvalid,
                profile,
                format!("'outputs' are not specified in profile '{name}'"),
                None,
            );
            return None;
        };
        match outputs.get(target) {
            Some(output) if output.as_mapping().is_some() => Some(output),
            Some(output) => {
                let message = format!("output '{target}' of profile '{name}' must be a mapping, not {}", output.kind());
                self.report(Code::ProfileInvalid, output, message, None);
                None
            }
            None => {
                let hint = format!("the valid target names are: {}", outputs.keys().collect::<Vec<_>>().join(", "));
                let message = format!("the profile '{name}' does not have a target named '{target}'");
                self.report(Code::ProfileNotFound, profile, message, Some(hint));
                None
            }
        }
    }

    /// Renders the chosen output. A password that is not a valid template is taken as it is written.
    fn render(&mut self, output: &Node) -> Node {
        let is_password = |path: &[KeyPart<'_>]| path.iter().any(|part| part.key() == Some("password"));
        let rendered = yaml::render(output, self.source, self.template, &is_password, self.diagnostics);
        let only_passwords = |path: &[KeyPart<'_>]| !is_password(path);
        let lenient = |text: &str| Ok((self.template)(text).unwrap_or_else(|_| Json::String(text.to_owned())));
        yaml::render(&rendered, self.source, &lenient, &only_passwords, &mut Vec::new())
    }

    fn report(&mut self, code: Code, node: &Node, message: String, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message).at(self.source.at(node.span));
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
    }
}

#[cfg(test)]
mod tests;
