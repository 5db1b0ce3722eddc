//! dbt's node selection: which nodes of a manifest a verb is about.
//!
//! ```text
//! flags, selectors.yml ──▶ Spec (criteria and sets) ──evaluate──▶ ids ──resource types──▶ selected
//! ```
//! Invariants: the result depends on the manifest and the selection alone; a selection that cannot be understood is an error
//! with every problem in it; one that matches nothing is a warning, as in dbt.

mod command_line;
mod criterion;
mod definition;
mod evaluate;
mod fnmatch;
mod list;
mod member;
mod methods;
mod resource_types;
pub mod selectors;
mod spec;

use std::collections::{BTreeMap, BTreeSet};

use common::diagnostic::Code;
use common::freshness::Thresholds;
use common::run::Verb;
use common::{Diagnostic, Json, Manifest, NodeId};

use crate::graph::Graph;

pub use list::{ListFormat, list};
pub use spec::IndirectSelection;

use definition::Known;
use member::Member;
use methods::Catalog;
use resource_types::ResourceTypes;
use spec::Spec;

/// What the selected nodes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Run(Verb),
    /// `ls`
    List,
}

/// What the command line says about selection.
#[derive(Clone, Debug)]
pub struct Selection {
    pub purpose: Purpose,
    /// `--select`
    pub select: Vec<String>,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// `--selector`
    pub selector: Option<String>,
    /// `--indirect-selection`
    pub indirect: IndirectSelection,
    /// `--resource-type`
    pub resource_types: Vec<String>,
    /// `--exclude-resource-type`
    pub exclude_resource_types: Vec<String>,
    /// Statuses of an earlier run by node (`success`, `error`, `fail`, …), for the method `result`.
    pub results: Option<BTreeMap<NodeId, String>>,
}

impl Selection {
    /// Everything the purpose is about.
    pub fn all(purpose: Purpose) -> Self {
        Self {
            purpose,
            select: Vec::new(),
            exclude: Vec::new(),
            selector: None,
            indirect: IndirectSelection::default(),
            resource_types: Vec::new(),
            exclude_resource_types: Vec::new(),
            results: None,
        }
    }
}

/// The selected ids, or `None` where the selection cannot be understood. Errors and warnings go to `diagnostics`.
pub fn select(
    manifest: &Manifest,
    graph: &Graph,
    selection: &Selection,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<BTreeSet<NodeId>> {
    let invalid = |message: String| Diagnostic::error(Code::SelectorInvalid, message);
    let spec = spec(manifest, selection);
    let types =
        ResourceTypes::of(selection.purpose).chosen(&selection.resource_types, &selection.exclude_resource_types);
    let (spec, types) = match (spec, types) {
        (Ok(spec), Ok(types)) => (spec, types),
        (spec, types) => {
            diagnostics.extend(spec.err().into_iter().flatten().chain(types.err()).map(invalid));
            return None;
        }
    };
    let catalog = Catalog { manifest, graph, results: selection.results.as_ref() };
    let selected = match evaluate::evaluate(catalog, &spec, diagnostics) {
        Ok(selected) => selected,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let is_watched = |id: &NodeId| manifest.sources.get(id).is_some_and(|source| Thresholds::of(source).is_some());
    let is_meant = |id: &NodeId| {
        if selection.purpose == Purpose::Run(Verb::Freshness) {
            return is_watched(id);
        }
        Member::of(manifest, id).is_some_and(|member| {
            // `ls` shows files with nothing in them too.
            types.contains(&member.resource_type()) && (selection.purpose == Purpose::List || !member.is_empty())
        })
    };
    Some(selected.into_iter().filter(is_meant).collect())
}

/// `--selector`, else the default selector where neither `--select` nor `--exclude` is given, else those.
fn spec(manifest: &Manifest, selection: &Selection) -> Result<Spec, Vec<String>> {
    let is_default = |entry: &Json| entry.get("default").and_then(Json::as_bool).unwrap_or(false);
    let named = selection.selector.as_deref().or_else(|| {
        let default = manifest.selectors.iter().find(|(_, entry)| is_default(entry)).map(|(name, _)| name.as_str());
        default.filter(|_| selection.select.is_empty() && selection.exclude.is_empty())
    });
    let Some(name) = named else {
        return command_line::parse(&selection.select, &selection.exclude, selection.indirect);
    };
    let mut known = Known::new();
    for (name, entry) in &manifest.selectors {
        let definition = entry.get("definition").unwrap_or(&Json::Null);
        let spec = definition::parse(definition, &known, selection.indirect)
            .map_err(|problem| vec![format!("selector '{name}': {problem}")])?;
        known.insert(name.clone(), spec);
    }
    known.remove(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.selectors.keys().map(String::as_str).collect();
        vec![format!("could not find selector named '{name}', expected one of: {}", names.join(", "))]
    })
}

#[cfg(test)]
mod tests;
