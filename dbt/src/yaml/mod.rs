//! YAML with source spans, read the way PyYAML's `SafeLoader` reads it for dbt.
//!
//! `load` builds a tree of `Node`s in which every value knows its place in the file, so that any later finding can point at it.
//! Invariants: scalars resolve by YAML 1.1 (`scalar`); mappings keep their order; a tree is never deeper than `DEPTH_MAX` and
//! aliases never add more than `ALIASED_NODES_MAX` nodes to it, so no file can exhaust memory or the stack.

mod build;
mod fields;
mod node;
mod relax;
mod render;
mod scalar;

use std::sync::Arc;

use common::diagnostic::Location;
use common::{Diagnostic, Severity};

pub use build::{ALIASED_NODES_MAX, DEPTH_MAX};
pub use fields::{Fields, unknown_key};
pub use node::{Entry, Mapping, Node, Span, Value};
pub use render::{KeyPart, Render, render};
pub use scalar::resolve;

/// The text of a file and its name, for diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Relative to the root project, with `/` between components.
    pub file: Arc<str>,
    pub text: Arc<str>,
}

impl Source {
    pub fn new(file: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// The place of `span`, with its source line.
    pub fn at(&self, span: Span) -> Location {
        Location::in_text(self.file.clone(), &self.text, span.line, span.column)
    }
}

/// Reads one document. An empty file is `Value::Null`. `None` means that the file cannot be read at all; the reason is then
/// among the diagnostics, which also receive warnings (keys given twice).
pub fn load(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let before = diagnostics.len();
    let node = build::build(source, diagnostics);
    node.filter(|_| diagnostics[before..].iter().all(|diagnostic| diagnostic.severity != Severity::Error))
}

#[cfg(test)]
mod tests;
