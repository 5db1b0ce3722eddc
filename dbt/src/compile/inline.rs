//! Queries that are given on the command line: a node of the root project that exists for one call.

use common::manifest::{Checksum, DependsOn, Manifest, Node, ResourceType};
use common::node_config::NodeConfig;
use common::target::Target;
use common::{JsonMap, NodeId};

/// dbt's name for the query of `--inline`.
const NAME: &str = "inline_query";

/// A node for `sql`. What it refers to is found when it is compiled.
pub fn inline_node(manifest: &Manifest, target: &Target, sql: &str) -> Node {
    let package = &manifest.project_name;
    Node {
        unique_id: NodeId::new(format!("sql_operation.{package}.{NAME}")),
        name: NAME.to_owned(),
        resource_type: ResourceType::SqlOperation,
        package_name: package.clone(),
        path: format!("sql/{NAME}"),
        original_file_path: "--inline".to_owned(),
        fqn: vec![package.clone(), "sql".to_owned(), NAME.to_owned()],
        database: target.database.clone(),
        schema: target.schema.clone(),
        alias: NAME.to_owned(),
        relation_name: None,
        checksum: Checksum { name: "none".to_owned(), checksum: String::new() },
        config: NodeConfig::default(),
        tags: Vec::new(),
        unrendered_config: JsonMap::new(),
        config_call_dict: JsonMap::new(),
        description: String::new(),
        columns: Default::default(),
        patch_path: None,
        raw_code: sql.to_owned(),
        raw_code_line: 1,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: DependsOn::default(),
        doc_blocks: Vec::new(),
        model: None,
        test: None,
        hook_index: None,
    }
}
