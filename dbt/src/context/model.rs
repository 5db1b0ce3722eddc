//! Nodes as dicts: `model`, `graph` and a node's `config`, with the keys that dbt's manifest has.

use common::manifest::Node;
use common::{Json, JsonMap};

use crate::artifacts;

/// A node as `model` shows it.
pub fn node(node: &Node, compiled_code: Option<&str>) -> JsonMap {
    let mut fields = artifacts::node(node, 0.0);
    if let Some(code) = compiled_code {
        fields.insert("compiled".to_owned(), Json::Bool(true));
        fields.insert("compiled_code".to_owned(), Json::from(code));
    }
    fields
}

/// `pre-hook` or `post-hook`, as `pre_hooks` and `post_hooks` show them.
pub fn hooks(node: &Node, key: &str) -> Json {
    artifacts::config(node).remove(key).unwrap_or(Json::Array(Vec::new()))
}
