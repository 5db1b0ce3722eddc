//! `models:`, `seeds:` and the like: configs by folder, kept with their places until they are applied to nodes.

use common::manifest::ResourceType;

use crate::yaml::{Fields, Mapping, Node};

/// The configs of one resource type: keys with a `+` are configs, others are folders or configs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigTree {
    pub rendered: Mapping,
    /// As written.
    pub unrendered: Mapping,
}

/// The trees of all resource types; those that are not given are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigTrees {
    pub models: ConfigTree,
    pub seeds: ConfigTree,
    pub snapshots: ConfigTree,
    pub data_tests: ConfigTree,
    pub unit_tests: ConfigTree,
    pub sources: ConfigTree,
    pub exposures: ConfigTree,
    pub analyses: ConfigTree,
    pub metrics: ConfigTree,
    pub semantic_models: ConfigTree,
    pub saved_queries: ConfigTree,
    pub functions: ConfigTree,
}

impl ConfigTrees {
    /// The tree that configures resources of this type.
    pub fn of(&self, resource_type: ResourceType) -> Option<&ConfigTree> {
        match resource_type {
            ResourceType::Model => Some(&self.models),
            ResourceType::Seed => Some(&self.seeds),
            ResourceType::Snapshot => Some(&self.snapshots),
            ResourceType::Test => Some(&self.data_tests),
            ResourceType::UnitTest => Some(&self.unit_tests),
            ResourceType::Source => Some(&self.sources),
            ResourceType::Exposure => Some(&self.exposures),
            ResourceType::Metric => Some(&self.metrics),
            ResourceType::SemanticModel => Some(&self.semantic_models),
            ResourceType::SavedQuery => Some(&self.saved_queries),
            ResourceType::Analysis => Some(&self.analyses),
            ResourceType::Operation
            | ResourceType::SqlOperation
            | ResourceType::Macro
            | ResourceType::Doc
            | ResourceType::Group => None,
        }
    }

    pub fn read(fields: &mut Fields<'_>, raw: &Mapping) -> Self {
        let mut tree = |key: &'static str| {
            let unrendered = raw.get(key).and_then(Node::as_mapping).cloned().unwrap_or_default();
            ConfigTree { rendered: fields.mapping(key), unrendered }
        };
        let (legacy, current) = (tree("tests"), tree("data_tests"));
        Self {
            models: tree("models"),
            seeds: tree("seeds"),
            snapshots: tree("snapshots"),
            data_tests: if current == ConfigTree::default() { legacy } else { current },
            unit_tests: tree("unit_tests"),
            sources: tree("sources"),
            exposures: tree("exposures"),
            analyses: tree("analyses"),
            metrics: tree("metrics"),
            semantic_models: tree("semantic-models"),
            saved_queries: tree("saved-queries"),
            functions: tree("functions"),
        }
    }
}
