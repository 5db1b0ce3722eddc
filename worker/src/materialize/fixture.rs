//! Nodes and requests for tests.

use common::manifest::{Node, ResourceType};
use common::node_config::{Materialization, NodeConfig};
use common::relation::{Relation, RelationType};
use common::target::AdapterType;
use common::{Epoch, NodeId, RunId};

use super::Request;
use crate::warehouse::staging::Builder;

/// A node `x` of the given materialization, otherwise with defaults.
pub fn node(materialized: &str) -> Node {
    let resource_type = match materialized {
        "seed" => ResourceType::Seed,
        "snapshot" => ResourceType::Snapshot,
        "test" => ResourceType::Test,
        _ => ResourceType::Model,
    };
    let config = NodeConfig { materialized: Materialization::from(materialized.to_owned()), ..NodeConfig::default() };
    Node {
        package_name: "p".to_owned(),
        path: "x.sql".to_owned(),
        original_file_path: "models/x.sql".to_owned(),
        database: "db".to_owned(),
        schema: "main".to_owned(),
        config,
        ..Node::new(NodeId::from("model.p.x"), "x", resource_type)
    }
}

/// `"db"."main"."x"`
pub fn target() -> Relation {
    Relation::new("db", "main", "x")
}

pub fn existing(kind: RelationType) -> Relation {
    target().with_type(kind)
}

/// A request of epoch 7 for `select 1 as id`.
pub fn request<'a>(
    dialect: AdapterType,
    node: &'a Node,
    target: &'a Relation,
    existing: Option<&'a Relation>,
) -> Request<'a> {
    Request {
        node,
        target,
        existing,
        sql: "select 1 as id",
        dialect,
        full_refresh: false,
        builder: Builder { run: RunId(uuid::Uuid::nil()), epoch: Epoch(7) },
        columns: &[],
        held_grants: &[],
        batch: None,
    }
}
