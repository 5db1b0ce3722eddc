//! How rendering ends when it does not end well, in terms of the project's files.

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use common::manifest::Node;

use super::rendering::Shared;
use crate::jinja::error::{Error as JinjaError, ErrorKind, Span};

/// Callers that a hint names; recursion has as many as its budget allows.
const CALLERS_SHOWN: usize = 8;

/// A template failed. The diagnostic names the file and line; a refusal of the warehouse keeps its type.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", diagnostic.message)]
pub struct Error {
    pub diagnostic: Box<Diagnostic>,
    /// Set where a statement that the template sent was refused.
    pub warehouse: Option<Box<crate::adapter::Error>>,
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostic: Box::new(diagnostic), warehouse: None }
    }
}

/// Turns places in templates into places in files.
pub struct Places<'a> {
    pub shared: &'a Shared,
    pub node: Option<&'a Node>,
}

impl Places<'_> {
    pub fn locate(&self, error: JinjaError) -> Error {
        let code = match error.kind {
            ErrorKind::Syntax => Code::JinjaSyntax,
            ErrorKind::Budget => Code::JinjaBudget,
            ErrorKind::Compiler => Code::CompilerError,
            ErrorKind::Canceled => Code::Canceled,
            ErrorKind::Database => error.source.as_ref().map_or(Code::SqlError, |source| source.code),
            _ => Code::JinjaRender,
        };
        let mut diagnostic = Diagnostic::error(code, error.message);
        if let Some(location) = self.location(error.template.as_deref(), error.span.as_ref()) {
            diagnostic = diagnostic.at(location);
        }
        let more = error.trace.len().saturating_sub(CALLERS_SHOWN);
        let callers: Vec<String> = error
            .trace
            .iter()
            .take(CALLERS_SHOWN)
            .map(|(name, span)| match self.location(Some(name), Some(span)) {
                Some(place) if place.line > 0 => format!("{name} ({}:{})", place.file, place.line),
                _ => name.to_string(),
            })
            .collect();
        if !callers.is_empty() {
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            diagnostic = diagnostic.hint(format!("called by {}{more}", callers.join(", called by ")));
        }
        Error { diagnostic: Box::new(diagnostic), warehouse: error.source }
    }

    /// The place of a span: spans count lines within the macro's block or the node's code, files begin earlier.
    fn location(&self, template: Option<&str>, span: Option<&Span>) -> Option<Location> {
        let found = template.and_then(|name| self.shared.macros.by_id(name));
        let (package, path, first_line, text) = match (found, self.node) {
            (Some(entry), _) => {
                let definition = &entry.definition;
                (
                    &definition.package_name,
                    &definition.original_file_path,
                    definition.line,
                    definition.macro_sql.as_str(),
                )
            }
            (None, Some(node)) => {
                (&node.package_name, &node.original_file_path, node.raw_code_line, node.raw_code.as_str())
            }
            (None, None) => return None,
        };
        let root = self.shared.packages.get(package).map_or("", |package| package.root.as_str());
        let file = if root.is_empty() { path.clone() } else { format!("{root}/{path}") };
        let known = self.node.is_some_and(|node| template.is_none_or(|name| name == node.unique_id.as_str()))
            || found.is_some();
        let Some(span) = span.filter(|span| span.line > 0 && known) else { return Some(Location::file(file)) };
        let mut location = Location::in_text(file, text, span.line, span.column);
        location.line = span.line + first_line.saturating_sub(1);
        Some(location)
    }
}
