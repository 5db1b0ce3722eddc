//! Queries that are given on the command line: a node of the root project that exists for one call.

use common::NodeId;
use common::manifest::{Manifest, Node, ResourceType};
use common::target::Target;

/// dbt's name for the query of `--inline`.
const NAME: &str = "inline_query";

/// A node for `sql`. What it refers to is found when it is compiled.
pub fn inline_node(manifest: &Manifest, target: &Target, sql: &str) -> Node {
    let package = &manifest.project_name;
    let unique_id = NodeId::new(format!("sql_operation.{package}.{NAME}"));
    Node {
        package_name: package.clone(),
        path: format!("sql/{NAME}"),
        original_file_path: "--inline".to_owned(),
        fqn: vec![package.clone(), "sql".to_owned(), NAME.to_owned()],
        database: target.database.clone(),
        schema: target.schema.clone(),
        raw_code: sql.to_owned(),
        ..Node::new(unique_id, NAME, ResourceType::SqlOperation)
    }
}
