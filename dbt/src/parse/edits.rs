//! Brings a manifest up to date with edited files, where an edit changed code and nothing that other nodes or settings depend on.
//!
//! The usual edit of a model leaves its references, its `config()` calls and the macros it calls as they were. Then the node's code,
//! the line it begins at and its checksum are all that a parse would find changed. Invariant: the manifest becomes what a parse
//! from nothing would give, diagnostics alike; wherever that is not plain, `apply` refuses, and everything is parsed again.

use std::collections::HashMap;

use common::manifest::{Manifest, Node};
use common::{Diagnostic, NodeId};

use super::Parsed;
use super::draft::{self, trimmed};
use super::extract::Overrides;
use super::macros::BUILTIN;
use crate::files::{File, FileKind};

/// Macros that see the whole node and decide about its name.
const NAME_MACROS: [&str; 3] = ["generate_database_name", "generate_schema_name", "generate_alias_name"];

/// Applies edits of files, each with the name of its package. `None` where that takes a whole parse; `parsed` is of no use then.
pub fn apply(parsed: &mut Parsed, edited: &[(&str, &File)]) -> Option<()> {
    let manifest = &parsed.manifest;
    if !names_ignore_code(manifest) {
        return None;
    }
    let by_file = nodes_by_file(manifest)?;
    let mut updates = Vec::with_capacity(edited.len());
    for &(package, file) in edited {
        let node = by_file.get(&(package, file.path.as_str()))?;
        updates.push(update(manifest, node, file, &parsed.diagnostics)?);
    }
    for Update { id, code, line, checksum } in updates {
        let node = parsed.manifest.nodes.get_mut(&id)?;
        node.raw_code = code;
        node.raw_code_line = line;
        node.checksum = checksum;
    }
    Some(())
}

struct Update {
    id: NodeId,
    code: String,
    line: u32,
    checksum: common::manifest::Checksum,
}

fn update(manifest: &Manifest, node: &Node, file: &File, diagnostics: &[Diagnostic]) -> Option<Update> {
    let is_noted = |diagnostic: &Diagnostic| {
        diagnostic.location.as_ref().is_some_and(|location| location.file == file.display_path)
    };
    // A variable of the environment would have to become one of the inputs of the parse.
    let text = file.text().ok().filter(|text| !text.contains("env_var"))?;
    if diagnostics.iter().any(is_noted) {
        return None;
    }
    let (code, line) = trimmed(text);
    let overrides = Overrides::of(&node.package_name, &manifest.project_name, &manifest.macros);
    let before = draft::read_statically(&node.raw_code, overrides)?;
    if draft::read_statically(code, overrides)? != before {
        return None;
    }
    let checksum = file.checksum().ok()?;
    Some(Update { id: node.unique_id.clone(), code: code.to_owned(), line, checksum })
}

/// Nodes that are whole files, by package and path. `None` where two claim one file.
fn nodes_by_file(manifest: &Manifest) -> Option<HashMap<(&str, &str), &Node>> {
    let mut by_file = HashMap::new();
    for node in manifest.nodes.values().filter(|node| is_whole_file(node)) {
        if by_file.insert((node.package_name.as_str(), node.original_file_path.as_str()), node).is_some() {
            return None;
        }
    }
    Some(by_file)
}

fn is_whole_file(node: &Node) -> bool {
    use common::manifest::ResourceType;
    match node.resource_type {
        ResourceType::Model | ResourceType::Analysis => true,
        ResourceType::Test => node.test.as_ref().is_some_and(|test| test.metadata.is_none()),
        _ => false,
    }
}

/// Whether edits of files of this kind may be applied.
pub fn may_apply(file: &File) -> bool {
    matches!(file.kind, FileKind::Model | FileKind::Analysis | FileKind::SingularTest)
}

/// Whether no macro of the project can make a node's name depend on its code: each that generates names reads only fields of the
/// node other than that, and calls built-in macros only.
fn names_ignore_code(manifest: &Manifest) -> bool {
    let own = manifest.macros.values().filter(|found| found.package_name != BUILTIN);
    own.filter(|found| NAME_MACROS.iter().any(|name| found.name.ends_with(name))).all(|found| {
        let calls_own =
            found.depends_on.macros.iter().any(|id| manifest.macros.get(id).is_none_or(|m| m.package_name != BUILTIN));
        // Behind the head, which names the parameter.
        let body = found.macro_sql.split_once("%}").map_or("", |(_, body)| body);
        let reads_code = ["raw_", "checksum", "model", "context"].iter().any(|word| body.contains(word));
        let passes_node = body.match_indices("node").any(|(at, found)| !body[at + found.len()..].starts_with('.'));
        !calls_own && !reads_code && !passes_node
    })
}
