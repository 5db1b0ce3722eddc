//! A node as its own file makes it, before properties files and config layers have been applied.

use std::sync::Arc;

use common::diagnostic::{self, Location};
use common::manifest::{Node, ResourceType};
use common::target::Target;
use common::{Diagnostic, JsonMap, NodeId};

use super::config::merge;
use super::extract;
use super::job::Job;
use crate::context::Recorded;
use crate::jinja;
use crate::jinja::Template;
use crate::jinja::error::ErrorKind;

/// A node in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its config, schema and alias are preliminary.
    pub node: Node,
    /// Index of its package.
    pub package: usize,
    /// `{{ config() }}` calls, combined.
    pub calls: JsonMap,
    /// Where its file is, relative to the root project.
    pub file: Arc<str>,
}

/// What identifies a node in the making.
pub struct Identity<'a> {
    pub resource_type: ResourceType,
    pub package_name: &'a str,
    pub name: &'a str,
    pub path: String,
    pub original_file_path: &'a str,
    pub fqn: Vec<String>,
}

/// A node with nothing configured.
pub fn node(identity: Identity<'_>, target: &Target) -> Node {
    let Identity { resource_type, package_name, name, path, original_file_path, fqn } = identity;
    let unique_id = NodeId::from(format!("{resource_type}.{package_name}.{name}"));
    Node {
        package_name: package_name.to_owned(),
        path,
        original_file_path: original_file_path.to_owned(),
        fqn,
        database: target.database.clone(),
        schema: target.schema.clone(),
        ..Node::new(unique_id, name, resource_type)
    }
}

/// A template of a node: its code, or one of its hooks.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    pub text: &'a str,
    pub file: &'a str,
    /// Index of the package whose macros win.
    pub package: usize,
}

/// What the code asks for: read off its tree where that is enough, rendered otherwise.
pub fn record(job: &Job<'_>, node: &Node, code: Code<'_>) -> Result<Recorded, Diagnostic> {
    let Code { text, file, package } = code;
    if !has_jinja(text) {
        return Ok(Recorded::default());
    }
    let overrides = job.overrides(package);
    let read = job.steps.read(text, overrides, || {
        let template = Template::parse(Arc::from(file), Arc::from(text))
            .map_err(|error| syntax_error(&error, file, text, node.raw_code_line))?;
        Ok(extract::extract(&template, overrides))
    });
    match read? {
        Some(recorded) => Ok(recorded),
        None => job.steps.render(&job.parsing, node, text),
    }
}

/// Adds what a template asked for to the node.
pub fn add_recorded(node: &mut Node, calls: &mut JsonMap, recorded: Recorded) {
    extend_unique(&mut node.refs, recorded.refs);
    extend_unique(&mut node.sources, recorded.sources);
    extend_unique(&mut node.depends_on.macros, recorded.macros);
    for call in &recorded.config_calls {
        merge::add_call(calls, call);
    }
}

pub fn extend_unique<T: PartialEq>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) {
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// Whether rendering could do anything.
pub fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// A syntax error at its place. `first_line` is the line of the file at which `code` begins.
pub fn syntax_error(error: &jinja::error::Error, file: &str, code: &str, first_line: u32) -> Diagnostic {
    let code_of_error = match error.kind {
        ErrorKind::Budget => diagnostic::Code::JinjaBudget,
        _ => diagnostic::Code::JinjaSyntax,
    };
    let location = match error.span {
        Some(span) => {
            let mut location = Location::in_text(file, code, span.line, span.column);
            location.line += first_line.saturating_sub(1);
            location
        }
        None => Location::file(file),
    };
    Diagnostic::error(code_of_error, error.message.clone()).at(location)
}

/// The text as dbt keeps it, without white space around it, and the line at which it begins.
pub fn trimmed(text: &str) -> (&str, u32) {
    let start = text.len() - text.trim_start().len();
    let newlines = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
    (text.trim(), u32::try_from(newlines + 1).unwrap_or(u32::MAX))
}
