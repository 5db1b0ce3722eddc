//! Doc blocks, and descriptions that use them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::manifest::{ColumnInfo, DocBlock, Manifest};
use common::{Diagnostic, NodeId};
use serde::{Deserialize, Serialize};

use super::draft::{has_jinja, syntax_error};
use super::job::Job;
use super::python_text::str_of;
use crate::cache::KeyBuilder;
use crate::files::FileKind;
use crate::jinja::ast::{ExprKind, StmtKind};
use crate::jinja::blocks::{self, BlockKind};
use crate::jinja::error::Error;
use crate::jinja::value::Value;
use crate::jinja::{Interpreter, Limits, Resolver, Template, UndefinedMode};
use crate::resolve::place::Places;
use crate::resolve::suggest;

/// The `{% docs %}` blocks of all packages.
pub fn read(job: &Job<'_>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<NodeId, DocBlock> {
    let mut docs: BTreeMap<NodeId, DocBlock> = BTreeMap::new();
    for package in &job.packages {
        for file in package.files.of_kind(FileKind::Docs) {
            let Ok(text) = file.text() else { continue };
            let key = || KeyBuilder::new("docs").with(&**text).key();
            let found = match job.steps.memo().step(key, || blocks_of(text)) {
                Ok(found) => found,
                Err(error) => {
                    diagnostics.push(syntax_error(&error, &file.display_path, text, 1));
                    continue;
                }
            };
            for block in found {
                let place = || Location::in_text(file.display_path.clone(), text, block.line, block.column);
                let Some(name) = block.name else {
                    let message = "a docs block needs a name";
                    diagnostics.push(Diagnostic::error(Code::JinjaSyntax, message).at(place()));
                    continue;
                };
                let doc = DocBlock {
                    unique_id: NodeId::from(format!("doc.{}.{name}", package.name())),
                    name: name.clone(),
                    package_name: package.name().to_owned(),
                    path: file.relative_path.clone(),
                    original_file_path: file.path.clone(),
                    contents: block.contents,
                };
                if let Some(other) = docs.get(&doc.unique_id) {
                    let message = format!(
                        "dbt found two docs with the name \"{name}\": {} and {}",
                        other.original_file_path, doc.original_file_path
                    );
                    diagnostics.push(Diagnostic::error(Code::DuplicateName, message).at(place()));
                    continue;
                }
                docs.insert(doc.unique_id.clone(), doc);
            }
        }
    }
    docs
}

/// A `{% docs %}` block of a file.
#[derive(Serialize, Deserialize)]
struct Found {
    name: Option<String>,
    line: u32,
    column: u32,
    contents: String,
}

fn blocks_of(text: &str) -> Result<Vec<Found>, Box<Error>> {
    let found = blocks::extract(text, &[BlockKind::Docs])?.into_iter().map(|block| Found {
        name: block.name.map(str::to_owned),
        line: block.span.line,
        column: block.span.column,
        contents: contents(block.contents),
    });
    Ok(found.collect())
}

/// The text of a block; templates in it see nothing.
fn contents(raw: &str) -> String {
    let rendered = has_jinja(raw).then(|| {
        let template = Template::parse(Arc::from("docs"), Arc::from(raw)).ok()?;
        let nothing: Rc<dyn Resolver> = Rc::new(Nothing);
        Interpreter::new(Limits::default()).render(&template, &nothing, UndefinedMode::Default).ok()
    });
    rendered.flatten().as_deref().unwrap_or(raw).trim().to_owned()
}

/// A context without names.
struct Nothing;

impl Resolver for Nothing {
    fn resolve(&self, _: &str) -> Option<Value> {
        None
    }
}

/// Renders `doc()` in every description of the manifest.
pub fn render(job: &Job<'_>, manifest: &mut Manifest, places: &Places, diagnostics: &mut Vec<Diagnostic>) {
    let docs = std::mem::take(&mut manifest.docs);
    let mut renderer = Renderer { job, docs: &docs, root: manifest.project_name.clone(), places, diagnostics };
    for node in manifest.nodes.values_mut() {
        let subject = Subject { id: &node.unique_id, package: &node.package_name };
        node.doc_blocks = renderer.text(subject, &mut node.description);
        renderer.columns(subject, node.columns.values_mut());
    }
    for source in manifest.sources.values_mut() {
        let subject = Subject { id: &source.unique_id, package: &source.package_name };
        source.doc_blocks = renderer.text(subject, &mut source.description);
        renderer.text(subject, &mut source.source_description);
        renderer.columns(subject, source.columns.values_mut());
    }
    for exposure in manifest.exposures.values_mut() {
        let subject = Subject { id: &exposure.unique_id, package: &exposure.package_name };
        renderer.text(subject, &mut exposure.description);
    }
    for found in manifest.macros.values_mut() {
        let subject = Subject { id: &found.unique_id, package: &found.package_name };
        renderer.text(subject, &mut found.description);
    }
    manifest.docs = docs;
}

/// Whose description it is.
#[derive(Clone, Copy)]
struct Subject<'a> {
    id: &'a NodeId,
    package: &'a str,
}

struct Renderer<'a> {
    job: &'a Job<'a>,
    docs: &'a BTreeMap<NodeId, DocBlock>,
    root: String,
    places: &'a Places,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Renderer<'_> {
    fn columns<'c>(&mut self, subject: Subject<'_>, columns: impl Iterator<Item = &'c mut ColumnInfo>) {
        for column in columns {
            column.doc_blocks = self.text(subject, &mut column.description);
        }
    }

    /// Replaces the description by what it renders to; returns the doc blocks it uses.
    fn text(&mut self, subject: Subject<'_>, description: &mut String) -> Vec<NodeId> {
        if !has_jinja(description) {
            return Vec::new();
        }
        let template = match Template::parse(Arc::from(subject.id.as_str()), Arc::from(description.as_str())) {
            Ok(template) => template,
            Err(error) => {
                self.report(subject, Code::JinjaSyntax, format!("the description of {}: {error}", subject.id), None);
                return Vec::new();
            }
        };
        let (mut text, mut used) = (String::new(), Vec::new());
        for stmt in &template.body {
            match &stmt.kind {
                StmtKind::Data(data) => text.push_str(data),
                StmtKind::Output(expr) => match doc_arguments(&expr.kind) {
                    Some(args) => match self.find(subject, &args) {
                        Some(doc) => {
                            text.push_str(&doc.contents);
                            used.push(doc.unique_id.clone());
                        }
                        None => self.missing(subject, &args),
                    },
                    None => {
                        let span = expr.span.start as usize..expr.span.end as usize;
                        let expression = description.get(span).unwrap_or_default().to_owned();
                        text.push_str(&self.evaluated(subject, &format!("{{{{ {expression} }}}}")));
                    }
                },
                // A statement may enclose anything, so the whole is evaluated, without doc().
                _ => {
                    *description = self.evaluated(subject, description);
                    return Vec::new();
                }
            }
        }
        *description = text;
        used
    }

    /// What a template without `doc` renders to.
    fn evaluated(&mut self, subject: Subject<'_>, template: &str) -> String {
        let package = self.job.packages.iter().position(|package| package.name() == subject.package).unwrap_or(0);
        match self.job.yaml(package).value(template) {
            Ok(value) => str_of(&value),
            Err(error) => {
                let message = format!("the description of {} cannot be rendered: {error}", subject.id);
                self.report(subject, Code::JinjaRender, message, None);
                template.to_owned()
            }
        }
    }

    /// Searched in the root project, then in the package of the subject, then anywhere.
    fn find(&self, subject: Subject<'_>, args: &[String]) -> Option<&DocBlock> {
        let get = |package: &str, name: &str| self.docs.get(format!("doc.{package}.{name}").as_str());
        match args {
            [package, name] => get(package, name),
            [name] => get(&self.root, name)
                .or_else(|| get(subject.package, name))
                .or_else(|| self.docs.values().find(|doc| doc.name == *name)),
            _ => None,
        }
    }

    fn missing(&mut self, subject: Subject<'_>, args: &[String]) {
        let name = args.last().map(String::as_str).unwrap_or_default();
        let package = match args {
            [package, _] => format!("in package '{package}' "),
            _ => String::new(),
        };
        let message =
            format!("Documentation for '{}' depends on doc '{name}' {package}which was not found", subject.id);
        let hint = suggest::hint(name, self.docs.values().map(|doc| doc.name.as_str()));
        self.report(subject, Code::CompilerError, message, hint);
    }

    fn report(&mut self, subject: Subject<'_>, code: Code, message: String, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message);
        diagnostic.location = self.places.get(subject.id).cloned();
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
    }
}

/// The arguments of `doc('…')` or `doc('…', '…')`.
fn doc_arguments(kind: &ExprKind) -> Option<Vec<String>> {
    let ExprKind::Call(call) = kind else { return None };
    let is_doc = matches!(&call.callee.kind, ExprKind::Name(name) if &*name.name == "doc");
    let args: Option<Vec<String>> =
        call.args.positional.iter().map(|arg| arg.as_str().map(ToString::to_string)).collect();
    args.filter(|args| is_doc && call.args.keyword.is_empty() && matches!(args.len(), 1 | 2))
}
