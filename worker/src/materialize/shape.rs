//! Which materialization a node takes, given what stands in its place.

use common::RelationType;
use common::diagnostic::Code;
use common::manifest::ResourceType;
use common::node_config::Materialization;
use common::target::AdapterType;

use super::{Request, docs};
use crate::failure::{Failure, Result};

/// The way a node is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing to build: an ephemeral model.
    Nothing,
    View,
    /// A new table in the place of whatever is there.
    Table,
    /// New rows into the table that is there.
    Incremental,
    /// The first versions of a snapshot's rows.
    NewSnapshot,
    /// New versions into the snapshot that is there.
    Snapshot,
    /// A new materialized view in the place of whatever is there.
    MaterializedView,
    /// The materialized view that is there computes its rows anew.
    Refresh,
}

impl Shape {
    /// Decides, or refuses what is not supported, by name.
    pub fn of(request: &Request<'_>) -> Result<Self> {
        let config = &request.node.config;
        if request.node.resource_type == ResourceType::Snapshot {
            return match request.existing_type() {
                None => Ok(Self::NewSnapshot),
                Some(RelationType::Table) => Ok(Self::Snapshot),
                Some(other) => {
                    let message = format!("{} exists as a {}: a snapshot is a table", request.target, other.as_str());
                    Err(Failure::user(Code::InvalidConfig, message))
                }
            };
        }
        if let Some(language) = config.extra.get("language").and_then(|value| value.as_str())
            && language != "sql"
        {
            return Err(Failure::unsupported(format_args!("models in language '{language}'")));
        }
        match (&config.materialized, request.dialect) {
            (Materialization::Ephemeral, _) => Ok(Self::Nothing),
            (Materialization::View, _) => Ok(Self::View),
            (Materialization::Table, _) => Ok(Self::Table),
            (Materialization::Incremental, _) => {
                let absent = matches!(request.existing_type(), None | Some(RelationType::View));
                Ok(if absent || request.full_refresh { Self::Table } else { Self::Incremental })
            }
            (Materialization::MaterializedView, AdapterType::Postgres) => {
                let present = request.existing_type() == Some(RelationType::MaterializedView);
                Ok(if present && !request.full_refresh { Self::Refresh } else { Self::MaterializedView })
            }
            (Materialization::Custom(name), _) => Err(Failure::unsupported(format_args!("materialization '{name}'"))),
            (other, dialect) => {
                Err(Failure::unsupported(format_args!("materialization '{}' on {dialect}", other.as_str())))
            }
        }
    }

    /// Whether the plan wants to know the names of the query's columns.
    pub fn needs_columns(self, request: &Request<'_>) -> bool {
        self != Self::Nothing && docs::persists_columns(request.node)
    }

    /// Whether grants of the existing relation survive the publication, so that the plan wants to know them.
    pub fn needs_grants(self, request: &Request<'_>) -> bool {
        request.dialect == AdapterType::Postgres
            && !request.node.config.grants.is_empty()
            && request.existing.is_some()
            && match self {
                Self::Incremental | Self::Refresh | Self::Snapshot => true,
                Self::View => request.existing_type() == Some(RelationType::View),
                Self::Nothing | Self::Table | Self::NewSnapshot | Self::MaterializedView => false,
            }
    }
}
