//! The configuration of a node: which layers apply, how their keys combine, and what comes out as typed values.
//!
//! Source of the rules: dbt's documentation of "Configuration precedence". From weak to strong: the trees of the node's own
//! package in its `dbt_project.yml`, the `config:` of a properties file, `{{ config() }}` in the file, and the trees of the root
//! project for nodes of packages. Invariant: layering is pure; nothing here renders templates or reads files.

pub mod layers;
pub mod merge;
pub mod typed;

use common::manifest::ResourceType;

/// Which set of keys and defaults applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Model,
    Seed,
    Snapshot,
    Test,
    Source,
    Exposure,
    UnitTest,
    /// Analyses and hooks.
    Other,
}

impl Kind {
    pub fn of(resource_type: ResourceType) -> Self {
        match resource_type {
            ResourceType::Model => Self::Model,
            ResourceType::Seed => Self::Seed,
            ResourceType::Snapshot => Self::Snapshot,
            ResourceType::Test => Self::Test,
            ResourceType::Source => Self::Source,
            ResourceType::Exposure => Self::Exposure,
            ResourceType::UnitTest => Self::UnitTest,
            _ => Self::Other,
        }
    }
}

/// A value that a config key may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub message: String,
}
