//! Rendering the Jinja inside the strings of a tree, as dbt does after the YAML is read.
//!
//! Keys are never rendered. A rendered value keeps the place of its template.

use common::diagnostic::Code;
use common::{Diagnostic, Json};

use super::{Mapping, Node, Source, Span, Value};

/// Renders one string natively: the result may be any value, not only text. The error is a message for people.
pub type Render<'a> = dyn Fn(&str) -> Result<Json, String> + 'a;

/// One step of the path from the root of the rendered tree to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> KeyPart<'a> {
    pub fn key(self) -> Option<&'a str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

/// Renders every string below `node` for which `late` is false; strings for which it is true are left as templates.
/// Failures become diagnostics and leave the string as it was written.
pub fn render(
    node: &Node,
    source: &Source,
    template: &Render<'_>,
    late: &dyn Fn(&[KeyPart<'_>]) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Node {
    let mut path = Vec::new();
    Walk { source, template, late, diagnostics }.node(node, &mut path)
}

struct Walk<'a> {
    source: &'a Source,
    template: &'a Render<'a>,
    late: &'a dyn Fn(&[KeyPart<'_>]) -> bool,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Walk<'_> {
    fn node<'n>(&mut self, node: &'n Node, path: &mut Vec<KeyPart<'n>>) -> Node {
        let value = match &node.value {
            Value::String(text) if has_jinja(text) && !(self.late)(path) => return self.text(text, node.span),
            // A template takes the line break at its end, and to dbt every string is one.
            Value::String(text) if text.ends_with('\n') && !(self.late)(path) => {
                Value::String(text[..text.len() - 1].to_owned())
            }
            Value::Sequence(items) => Value::Sequence(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        path.push(KeyPart::Index(index));
                        let rendered = self.node(item, path);
                        path.pop();
                        rendered
                    })
                    .collect(),
            ),
            Value::Mapping(mapping) => {
                let mut rendered = Mapping::default();
                for (key, entry) in mapping.iter() {
                    path.push(KeyPart::Key(key));
                    rendered.insert(key, entry.key_span, self.node(&entry.value, path));
                    path.pop();
                }
                Value::Mapping(rendered)
            }
            other => other.clone(),
        };
        Node::new(value, node.span)
    }

    fn text(&mut self, text: &str, span: Span) -> Node {
        match (self.template)(text) {
            Ok(json) => Node::from_json(&json, span),
            Err(message) => {
                self.diagnostics.push(
                    Diagnostic::error(Code::JinjaRender, format!("could not render {text:?}: {message}"))
                        .at(self.source.at(span)),
                );
                Node::new(Value::String(text.to_owned()), span)
            }
        }
    }
}

/// Whether rendering could change the text: it has one of Jinja's delimiters.
fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}
