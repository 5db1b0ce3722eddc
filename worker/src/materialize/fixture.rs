//! Nodes and requests for tests.

use common::manifest::{Checksum, DependsOn, Node, ResourceType};
use common::node_config::{Materialization, NodeConfig};
use common::relation::{Relation, RelationType};
use common::target::AdapterType;
use common::{Epoch, JsonMap, NodeId};
use indexmap::IndexMap;

use super::Request;

/// A node `x` of the given materialization, otherwise with defaults.
pub fn node(materialized: &str) -> Node {
    let resource_type = match materialized {
        "seed" => ResourceType::Seed,
        "test" => ResourceType::Test,
        _ => ResourceType::Model,
    };
    let config = NodeConfig { materialized: Materialization::from(materialized.to_owned()), ..NodeConfig::default() };
    Node {
        unique_id: NodeId::from("model.p.x"),
        name: "x".to_owned(),
        resource_type,
        package_name: "p".to_owned(),
        path: "x.sql".to_owned(),
        original_file_path: "models/x.sql".to_owned(),
        fqn: Vec::new(),
        database: "db".to_owned(),
        schema: "main".to_owned(),
        alias: "x".to_owned(),
        relation_name: None,
        checksum: Checksum { name: "none".to_owned(), checksum: String::new() },
        config,
        unrendered_config: JsonMap::new(),
        config_call_dict: JsonMap::new(),
        description: String::new(),
        columns: IndexMap::new(),
        patch_path: None,
        raw_code: String::new(),
        raw_code_line: 1,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: DependsOn::default(),
        doc_blocks: Vec::new(),
        model: None,
        test: None,
        hook_index: None,
        tags: Vec::new(),
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
        epoch: Epoch(7),
        columns: &[],
        held_grants: &[],
    }
}
