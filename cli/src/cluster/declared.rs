//! Files that declare things of a cluster, such as `kontiki.yml`.
//!
//! Invariant: what is not understood is an error with its place; nothing is left out silently. One file may declare things of several
//! kinds; who reads it passes over the others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Diagnostic;
use common::diagnostic::Code;
use dbt::yaml::{Fields, Mapping, Node, Source, Span, Value, load};
use proto::v1::applied_schedule::Action;

use super::args::Declare;
use crate::config;
use crate::project::{Call, Opened, Refused};

/// The file in a project's folder that declares what belongs to it.
const FILE_NAME: &str = "kontiki.yml";

/// The file that was named, or the project's.
pub fn path(opened: &Opened, declare: &Declare) -> PathBuf {
    declare.file.clone().unwrap_or_else(|| opened.root.join(FILE_NAME))
}

/// What became of something that was declared, or would.
pub fn done(action: Action, dry_run: bool) -> &'static str {
    match (action, dry_run) {
        (Action::Created, false) => "created",
        (Action::Created, true) => "would be created",
        (Action::Changed, false) => "changed",
        (Action::Changed, true) => "would change",
        (Action::Unchanged | Action::Unspecified, _) => "unchanged",
    }
}

/// Everything that the file has under a key, or all that is wrong with it. `one` reads one thing and gives its name with it.
pub fn read<T>(
    call: &Call,
    opened: &Opened,
    path: &Path,
    (key, noun): (&'static str, &str),
    one: impl Fn(Fields<'_>) -> Option<(String, T)>,
) -> Result<Vec<T>, Refused> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| call.refuse_with(Code::FileUnreadable, &format!("{}: {error}", path.display())))?;
    let shown = path.strip_prefix(&opened.root).unwrap_or(path).display().to_string();
    let source = Source::new(shown, text);
    let mut findings = Vec::new();
    let read = read_source(&source, (key, noun), &mut findings, one);
    call.report(&findings)?;
    Ok(read.into_iter().map(|(_, thing)| thing).collect())
}

fn read_source<T>(
    source: &Source,
    (key, noun): (&'static str, &str),
    findings: &mut Vec<Diagnostic>,
    one: impl Fn(Fields<'_>) -> Option<(String, T)>,
) -> Vec<(String, T)> {
    let Some(node) = load(source, findings) else { return Vec::new() };
    let span = node.span;
    let Value::Mapping(mapping) = node.value else {
        let message = format!("a file of {key} is a mapping with '{key}', not {}", node.kind());
        findings.push(Diagnostic::error(Code::YamlShape, message).at(source.at(span)));
        return Vec::new();
    };
    let mut fields = Fields::new(mapping, span, "the file".to_owned(), source, findings).lenient();
    let named = |mapping: &Mapping| {
        let name = mapping.get("name").and_then(Node::as_str).unwrap_or_default();
        format!("{noun} '{name}'")
    };
    let read = fields.each(key, named, one);
    for other in KEYS {
        fields.node(other);
    }
    fields.refuse();
    let mut seen = Vec::new();
    for (name, _) in &read {
        if seen.contains(&name) {
            let message = format!("{noun} '{name}' is declared twice");
            findings.push(Diagnostic::error(Code::DuplicateName, message).at(source.at(span)));
        }
        seen.push(name);
    }
    read
}

/// What a file may declare.
const KEYS: [&str; 2] = ["schedules", "alerts"];

pub fn invalid(message: String) -> Diagnostic {
    Diagnostic::error(Code::DeclarationInvalid, message)
}

/// Where a key stands, or the whole where it does not.
pub fn place(fields: &Fields<'_>, key: &str) -> Span {
    fields.peek(key).map_or(fields.span(), |node| node.span)
}

/// A key under the one name or the other.
pub fn either(fields: &mut Fields<'_>, key: &'static str, other: &'static str) -> Option<String> {
    fields.text(key).or_else(|| fields.text(other))
}

/// A text, or a list of texts.
pub fn texts(fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    match fields.peek(key).and_then(Node::as_str).map(str::to_owned) {
        Some(_) => fields.text(key).into_iter().collect(),
        None => fields.texts(key),
    }
}

pub fn one_of<T: Copy>(fields: &mut Fields<'_>, key: &'static str, words: &[(&str, T)]) -> Option<T> {
    let span = place(fields, key);
    let text = fields.text(key)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        fields.report(invalid(format!("'{key}' of {} is '{text}', which is none of {known}", fields.what())), span);
    }
    found
}

pub fn integer<T: TryFrom<i64>>(fields: &mut Fields<'_>, key: &'static str) -> Option<T> {
    let node = fields.node(key)?;
    let number = node.as_i64().and_then(|number| T::try_from(number).ok());
    if number.is_none() {
        let message = format!("'{key}' of {} must be a number in its range", fields.what());
        fields.report(invalid(message), node.span);
    }
    number
}

/// A length of time, such as `90s` or `2h`.
pub fn length(fields: &mut Fields<'_>, key: &'static str) -> Option<Duration> {
    let span = place(fields, key);
    let text = fields.text(key)?;
    match config::parse::<Duration>(&text) {
        Ok(length) => Some(length),
        Err(problem) => {
            fields.report(invalid(format!("'{key}' of {}: {problem}", fields.what())), span);
            None
        }
    }
}
