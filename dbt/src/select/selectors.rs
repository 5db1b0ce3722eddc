//! Loading `selectors.yml`.

use common::diagnostic::Code;
use common::{Diagnostic, Json};
use indexmap::IndexMap;

use super::definition::{self, Known};
use super::spec::IndirectSelection;
use crate::files;
use crate::project::Project;
use crate::yaml::{self, Fields, Node, Source, Value};

const FILE_NAME: &str = "selectors.yml";

/// The selectors of the root project by name, each `{name, definition, description, default}` with its templates rendered. Every
/// definition is checked here, so that using one cannot fail later.
pub fn load(
    project: &Project,
    template: &yaml::Render<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> IndexMap<String, Json> {
    let path = project.dir.join(FILE_NAME);
    if !path.exists() {
        return IndexMap::new();
    }
    match files::read_text(&path, &project.display_path(FILE_NAME)) {
        Ok(text) => read(&Source::new(project.display_path(FILE_NAME), text), template, diagnostics),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            IndexMap::new()
        }
    }
}

/// Reads the text of a `selectors.yml`.
pub fn read(source: &Source, template: &yaml::Render<'_>, diagnostics: &mut Vec<Diagnostic>) -> IndexMap<String, Json> {
    let mut selectors = IndexMap::new();
    let Some(root) = yaml::load(source, diagnostics) else { return selectors };
    let root = yaml::render(&root, source, template, &|_| false, diagnostics);
    let span = root.span;
    let mapping = match root.value {
        Value::Mapping(mapping) => mapping,
        Value::Null => return selectors,
        _ => {
            let message = format!("{FILE_NAME} must hold a mapping, not {}", root.kind());
            diagnostics.push(Diagnostic::error(Code::YamlShape, message).at(source.at(span)));
            return selectors;
        }
    };
    let mut known = Known::new();
    let mut default: Option<String> = None;
    let mut fields = Fields::new(mapping, span, FILE_NAME.to_owned(), source, diagnostics).lenient();
    fields.json("version");
    for item in fields.list("selectors") {
        let Value::Mapping(mapping) = item.value else {
            fields.error(item.span, format!("a selector must be a mapping, not {}", item.kind()));
            continue;
        };
        let what = format!("selector '{}'", mapping.get("name").and_then(Node::as_str).unwrap_or_default());
        let mut selector = fields.inner(mapping, item.span, what);
        let Some((name, span)) = selector.name() else { continue };
        let definition = selector.node("definition");
        let description = selector.text("description").unwrap_or_default();
        let is_default = selector.bool("default").unwrap_or(false);
        let Some(definition) = definition else {
            selector.error(span, format!("selector '{name}' has no 'definition'"));
            continue;
        };
        if is_default && let Some(first) = default.replace(name.clone()) {
            selector.error(span, format!("both '{first}' and '{name}' have 'default: true'"));
        }
        let json = definition.to_json();
        match definition::parse(&json, &known, IndirectSelection::default()) {
            Ok(spec) => {
                known.insert(name.clone(), spec);
            }
            Err(problem) => {
                let problem = Diagnostic::error(Code::SelectorInvalid, format!("selector '{name}': {problem}"));
                selector.report(problem, definition.span);
            }
        }
        selector.finish();
        let entry = serde_json::json!({
            "name": name, "definition": json, "description": description, "default": is_default,
        });
        selectors.insert(name, entry);
    }
    fields.finish();
    selectors
}
