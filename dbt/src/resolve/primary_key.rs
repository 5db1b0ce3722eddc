//! The primary key that a model's constraints or tests imply; artifacts carry it.

use std::collections::{BTreeMap, BTreeSet};

use common::manifest::{Manifest, Node};
use common::{Json, NodeId};

/// Sets `primary_key` of every model.
pub fn infer(manifest: &mut Manifest) {
    let mut tested: BTreeMap<NodeId, Tested> = BTreeMap::new();
    for node in manifest.nodes.values().chain(manifest.disabled.values().flatten()) {
        let Some(test) = &node.test else { continue };
        let (Some(model), Some(metadata)) = (&test.attached_node, &test.metadata) else { continue };
        let columns = match (metadata.kwargs.get("column_name"), metadata.kwargs.get("combination_of_columns")) {
            (Some(column), _) => texts(std::slice::from_ref(column)),
            (None, Some(Json::Array(columns))) => texts(columns),
            _ => continue,
        };
        let tested = tested.entry(model.clone()).or_default();
        match metadata.name.as_str() {
            "unique" | "unique_combination_of_columns" if node.config.enabled => tested.unique.extend(columns),
            "unique" | "unique_combination_of_columns" => tested.unique_disabled.extend(columns),
            "not_null" => tested.not_null.extend(columns),
            _ => {}
        }
    }
    for node in manifest.nodes.values_mut() {
        let constrained = from_constraints(node);
        let from_tests = || tested.get(&node.unique_id).map(Tested::primary_key).unwrap_or_default();
        let mut primary_key = constrained.unwrap_or_else(from_tests);
        primary_key.sort();
        if let Some(model) = &mut node.model {
            model.primary_key = primary_key;
        }
    }
}

/// Columns that tests of one model name.
#[derive(Default)]
struct Tested {
    unique: BTreeSet<String>,
    unique_disabled: BTreeSet<String>,
    not_null: BTreeSet<String>,
}

impl Tested {
    fn primary_key(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.unique.union(&self.unique_disabled).collect();
        let both: Vec<String> = all.into_iter().filter(|column| self.not_null.contains(*column)).cloned().collect();
        if !both.is_empty() {
            both
        } else if !self.unique.is_empty() {
            self.unique.iter().cloned().collect()
        } else {
            self.unique_disabled.iter().cloned().collect()
        }
    }
}

fn from_constraints(node: &Node) -> Option<Vec<String>> {
    let is_primary_key = |constraint: &Json| constraint.get("type").and_then(Json::as_str) == Some("primary_key");
    let model = node.model.as_ref()?;
    if let Some(constraint) = model.constraints.iter().find(|constraint| is_primary_key(constraint)) {
        return Some(
            constraint.get("columns").and_then(Json::as_array).map(|columns| texts(columns)).unwrap_or_default(),
        );
    }
    let column = node.columns.values().find(|column| column.constraints.iter().any(is_primary_key))?;
    Some(vec![column.name.clone()])
}

fn texts(values: &[Json]) -> Vec<String> {
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
