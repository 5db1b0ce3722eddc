//! From a node, its compiled SQL and what exists already to the statements that publish it.
//!
//! Pure: nothing here touches a warehouse. `execute` asks `Shape::of` what to do, looks up what the shape wants to know (columns,
//! grants), and runs the `Plan` it gets back.
//!
//! ```text
//! staging      built under names no reader uses, before the publication
//! publication  one transaction: everything a reader can see changes here
//! cleanup      forgets temporary relations of this connection
//! ```
//!
//! Invariant: no statement of `staging` names the target as something it writes; readers of the target see the old relation or the
//! new one, never less.

pub mod contract;
pub mod ddl;
pub mod docs;
pub mod grants;
pub mod ignored;
pub mod incremental;
pub mod indexes;
pub mod materialized_view;
pub mod merge;
mod microbatch;
pub mod overrides;
pub mod plan;
pub mod schema_change;
pub mod seed;
pub mod shape;
pub mod snapshot;
pub mod table;
pub mod view;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use common::RelationType;
use common::manifest::Node;
use common::microbatch::Span;
use common::relation::Relation;
use common::target::AdapterType;

use crate::warehouse::staging;

pub use overrides::{MacroCall, NoOverrides, Overrides};
pub use plan::Plan;
pub use shape::Shape;

/// What a materialization works on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub node: &'a Node,
    /// Where the node goes; its type is not set.
    pub target: &'a Relation,
    /// What stands there now, with its type.
    pub existing: Option<&'a Relation>,
    /// The node's compiled SQL.
    pub sql: &'a str,
    pub dialect: AdapterType,
    /// dbt's `should_full_refresh()`: the flag, unless the node's config decides.
    pub full_refresh: bool,
    /// Names of staging relations carry it.
    pub builder: staging::Builder,
    /// Names of the query's columns, where `Shape::needs_columns` asked for them; empty otherwise.
    pub columns: &'a [String],
    /// Privileges that others hold on the existing relation, where it survives the publication: (privilege, grantee).
    pub held_grants: &'a [(String, String)],
    /// The event times of a batch, of a microbatch model.
    pub batch: Option<Span>,
}

impl Request<'_> {
    fn existing_type(&self) -> Option<RelationType> {
        self.existing.and_then(|relation| relation.relation_type)
    }

    /// Aside of the target in its schema, so that it can be renamed into its place.
    fn staging(&self, kind: RelationType) -> Relation {
        self.target.clone().with_identifier(self.staging_name()).with_type(kind)
    }

    /// For this connection only.
    pub fn temporary(&self) -> Relation {
        Relation {
            database: None,
            schema: None,
            identifier: Some(self.staging_name()),
            relation_type: Some(RelationType::Table),
            quoting: self.target.quoting,
        }
    }

    fn staging_name(&self) -> String {
        staging::name(self.target.identifier.as_deref().unwrap_or_default(), self.builder)
    }

    /// The target with the type of what stands there, which tells the warehouse what it replaces.
    fn target_as_found(&self) -> Relation {
        Relation { relation_type: self.existing_type(), ..self.target.clone() }
    }

    fn sql_header(&self) -> Option<&str> {
        let header = self.node.config.extra.get("sql_header")?.as_str()?;
        (!header.trim().is_empty()).then_some(header)
    }
}

/// dbt's `should_full_refresh()`: the node's own `full_refresh` wins over the flag.
pub fn should_full_refresh(node: &Node, flag: bool) -> bool {
    node.config.full_refresh.unwrap_or(flag)
}
