//! `persist_docs`: descriptions as comments of relations and columns.

use common::RelationType;
use common::diagnostic::Code;
use common::manifest::Node;
use common::relation::{Relation, quote_identifier};

use crate::failure::{Failure, Result};

/// Descriptions go between these, so that they may hold anything but this.
const QUOTE: &str = "$dbt_comment_literal_block$";

/// Whether columns get comments, so that the plan must know which columns there are.
pub fn persists_columns(node: &Node) -> bool {
    flag(node, "columns") && !node.columns.is_empty()
}

/// `comment on …` statements; `columns` are the names the relation has. Descriptions of other columns are left out, as dbt does.
pub fn comments(node: &Node, relation: &Relation, kind: RelationType, columns: &[String]) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    if flag(node, "relation") && !node.description.is_empty() {
        let kind = if kind == RelationType::MaterializedView { "materialized view" } else { kind.as_str() };
        statements.push(format!("comment on {kind} {relation} is {}", quoted(&node.description)?));
    }
    if persists_columns(node) {
        for column in node.columns.values().filter(|column| columns.contains(&column.name)) {
            let name = if column.quote == Some(true) { quote_identifier(&column.name) } else { column.name.clone() };
            statements.push(format!("comment on column {relation}.{name} is {}", quoted(&column.description)?));
        }
    }
    Ok(statements)
}

fn flag(node: &Node, key: &str) -> bool {
    node.config.persist_docs.get(key).and_then(serde_json::Value::as_bool).unwrap_or(false)
}

fn quoted(description: &str) -> Result<String> {
    if description.contains(QUOTE) {
        let message = format!("The string {QUOTE} is not allowed in comments.");
        return Err(Failure::user(Code::CompilerError, message));
    }
    Ok(format!("{QUOTE}{description}{QUOTE}"))
}
