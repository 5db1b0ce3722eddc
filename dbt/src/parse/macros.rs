//! Macros, tests and materializations of all packages, the built-in one included, and which macros each of them calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::manifest::{DependsOn, Macro};
use common::node_config::Docs;
use common::{Diagnostic, JsonMap, NodeId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::calls;
use super::draft::syntax_error;
use crate::builtin;
use crate::cache::{Key, KeyBuilder, Memo};
use crate::files::{FileKind, ProjectFiles};
use crate::jinja::MacroDef;
use crate::jinja::ast::{Call, Expr, ExprKind};

/// Name of the built-in package.
pub const BUILTIN: &str = "dbt";

/// A file with macros.
struct MacroFile {
    package: String,
    path: String,
    display: Arc<str>,
    text: Arc<str>,
}

impl MacroFile {
    fn key(&self) -> Key {
        KeyBuilder::new("macros").with(&self.package).with(&self.path).with(&*self.display).with(&*self.text).key()
    }
}

/// A macro and what it may call, by name as written.
#[derive(Serialize, Deserialize)]
struct Found {
    definition: Macro,
    display: Arc<str>,
    called: Vec<String>,
}

/// All macros by id. Of two macros with one id, the first is kept and the other is a finding.
pub fn collect(
    files: &ProjectFiles,
    memo: &Memo,
    dispatch: &BTreeMap<String, Vec<String>>,
    adapter: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<NodeId, Macro> {
    let mut sources: Vec<MacroFile> = builtin::FILES
        .iter()
        .map(|(path, text)| MacroFile {
            package: BUILTIN.to_owned(),
            path: (*path).to_owned(),
            display: Arc::from(format!("{BUILTIN}/{path}")),
            text: Arc::from(*text),
        })
        .collect();
    for package in &files.packages {
        let found = package.files.iter().filter(|file| matches!(file.kind, FileKind::Macro | FileKind::GenericTest));
        sources.extend(found.filter_map(|file| {
            Some(MacroFile {
                package: package.project.name.clone(),
                path: file.path.clone(),
                display: file.display_path.clone(),
                text: file.text().ok()?.clone(),
            })
        }));
    }
    let read: Vec<Result<Vec<Found>, Diagnostic>> =
        sources.par_iter().map(|file| memo.step(|| file.key(), || read_file(file))).collect();

    let mut macros: BTreeMap<NodeId, Macro> = BTreeMap::new();
    let mut called: Vec<(NodeId, Vec<String>)> = Vec::new();
    for result in read {
        match result {
            Ok(found) => {
                for Found { definition, display, called: names } in found {
                    if let Some(other) = macros.get(&definition.unique_id) {
                        diagnostics.push(duplicate(&definition, other, display));
                        continue;
                    }
                    called.push((definition.unique_id.clone(), names));
                    macros.insert(definition.unique_id.clone(), definition);
                }
            }
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let root = &files.root().name;
    let registry = Registry::new(&macros, root, dispatch, adapter);
    let edges: Vec<(NodeId, Vec<NodeId>)> =
        called.into_iter().map(|(id, names)| (id.clone(), registry.depends_on(&id, &names))).collect();
    for (id, depends_on) in edges {
        if let Some(definition) = macros.get_mut(&id) {
            definition.depends_on.macros = depends_on;
        }
    }
    macros
}

fn read_file(file: &MacroFile) -> Result<Vec<Found>, Diagnostic> {
    let definitions = MacroDef::parse_file(&file.display, &file.text)
        .map_err(|error| syntax_error(&error, &file.display, &file.text, 1))?;
    Ok(definitions.iter().map(|definition| found(file, definition)).collect())
}

fn found(file: &MacroFile, definition: &MacroDef) -> Found {
    let span = definition.span;
    let languages = &definition.supported_languages;
    let languages = (!languages.is_empty()).then(|| languages.iter().map(|language| language.to_string()).collect());
    Found {
        called: called_names(definition),
        display: file.display.clone(),
        definition: Macro {
            unique_id: NodeId::from(format!("macro.{}.{}", file.package, definition.name)),
            name: definition.name.to_string(),
            package_name: file.package.clone(),
            path: file.path.clone(),
            original_file_path: file.path.clone(),
            macro_sql: file.text[span.start as usize..span.end as usize].to_owned(),
            line: span.line,
            depends_on: DependsOn::default(),
            description: String::new(),
            meta: JsonMap::new(),
            docs: Docs::default(),
            patch_path: None,
            arguments: Vec::new(),
            supported_languages: languages,
        },
    }
}

fn duplicate(new: &Macro, other: &Macro, display: Arc<str>) -> Diagnostic {
    let message = format!(
        "dbt found two macros named \"{}\" in the project \"{}\": {} and {}",
        new.name, new.package_name, other.original_file_path, new.original_file_path
    );
    let location = Location { file: display, line: new.line, column: 0, source_line: None };
    Diagnostic::error(Code::DuplicateName, message).at(location).hint("rename or remove one of them")
}

/// Names that a macro calls, in order: `name`, `package.name`, and what `adapter.dispatch` names with a leading `@`.
fn called_names(definition: &MacroDef) -> Vec<String> {
    let mut names = Vec::new();
    calls::visit(&definition.ast.body, &mut |_, call| {
        if let Some(name) = called_name(call)
            && !names.contains(&name)
        {
            names.push(name);
        }
    });
    names
}

fn called_name(call: &Call) -> Option<String> {
    match &call.callee.kind {
        ExprKind::Name(name) => Some(name.name.to_string()),
        ExprKind::Attr { object, name } => {
            let ExprKind::Name(package) = &object.kind else { return None };
            if &*package.name != "adapter" {
                return Some(format!("{}.{name}", package.name));
            }
            (&**name == "dispatch").then(|| dispatched(call)).flatten()
        }
        _ => None,
    }
}

/// `@namespace.name`, or `@.name` without a namespace.
fn dispatched(call: &Call) -> Option<String> {
    let keyword = |key: &str| call.args.keyword.iter().find(|(name, _)| &**name == key).map(|(_, value)| value);
    let text = |expr: Option<&Expr>| expr.and_then(Expr::as_str).map(ToString::to_string);
    let name = text(call.args.positional.first().or_else(|| keyword("macro_name")))?;
    let namespace = text(call.args.positional.get(1).or_else(|| keyword("macro_namespace")));
    Some(format!("@{}.{name}", namespace.unwrap_or_default()))
}

/// Finds macros by name as dbt's resolver does.
struct Registry<'m> {
    macros: &'m BTreeMap<NodeId, Macro>,
    by_name: HashMap<(&'m str, &'m str), &'m NodeId>,
    root: &'m str,
    dispatch: &'m BTreeMap<String, Vec<String>>,
    prefixes: [String; 2],
}

impl<'m> Registry<'m> {
    fn new(
        macros: &'m BTreeMap<NodeId, Macro>,
        root: &'m str,
        dispatch: &'m BTreeMap<String, Vec<String>>,
        adapter: &str,
    ) -> Self {
        let by_name = macros.values().map(|found| ((&*found.package_name, &*found.name), &found.unique_id)).collect();
        let prefixes = [format!("{adapter}__"), "default__".to_owned()];
        Self { macros, by_name, root, dispatch, prefixes }
    }

    fn depends_on(&self, id: &NodeId, names: &[String]) -> Vec<NodeId> {
        let package = self.macros.get(id).map_or(self.root, |found| &found.package_name);
        let mut found = Vec::new();
        for name in names {
            let target = match name.strip_prefix('@') {
                Some(dispatched) => self.dispatched(package, dispatched),
                None => match name.split_once('.') {
                    Some((package, name)) => self.get(package, name),
                    None => self.visible(package, name),
                },
            };
            if let Some(target) = target.filter(|target| *target != id && !found.contains(*target)) {
                found.push(target.clone());
            }
        }
        found
    }

    fn get(&self, package: &str, name: &str) -> Option<&'m NodeId> {
        self.by_name.get(&(package, name)).copied()
    }

    /// A macro seen from `package`: its own, the root project's, then built-in ones.
    fn visible(&self, package: &str, name: &str) -> Option<&'m NodeId> {
        self.get(package, name).or_else(|| self.get(self.root, name)).or_else(|| self.get(BUILTIN, name))
    }

    fn dispatched(&self, package: &str, dispatched: &str) -> Option<&'m NodeId> {
        let (namespace, name) = dispatched.split_once('.')?;
        let order: Vec<&str> = match (namespace, self.dispatch.get(namespace)) {
            ("", _) => vec![self.root, package, BUILTIN],
            (_, Some(order)) => order.iter().map(String::as_str).collect(),
            (namespace, None) => vec![self.root, namespace, BUILTIN],
        };
        order
            .into_iter()
            .find_map(|package| self.prefixes.iter().find_map(|prefix| self.get(package, &format!("{prefix}{name}"))))
    }
}
