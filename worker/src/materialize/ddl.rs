//! The text of the statements that create relations.

use common::relation::Relation;
use common::target::AdapterType;

use super::{MacroCall, Overrides, Request, contract};
use crate::failure::Result;

/// How a table is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The name is free.
    New,
    /// Replaces a table of the same name, in the same transaction (DuckDB).
    Replace,
    /// For this connection only.
    Temporary,
}

/// Statements that create `relation` and fill it with the request's SQL; the last one tells how many rows there are.
pub fn create_table(
    request: &Request<'_>,
    relation: &Relation,
    creation: Creation,
    overrides: &mut dyn Overrides,
) -> Result<Vec<String>> {
    let temporary = creation == Creation::Temporary;
    let call = MacroCall::CreateTableAs { temporary, relation, sql: request.sql };
    if let Some(sql) = overrides.call(&call)? {
        let mut statements = Vec::new();
        if creation == Creation::Replace {
            statements.push(format!("drop table if exists {relation}"));
        }
        statements.push(sql);
        return Ok(statements);
    }
    let create = match creation {
        Creation::New if unlogged(request) => "create unlogged table",
        Creation::New => "create table",
        Creation::Replace => "create or replace table",
        Creation::Temporary => "create temporary table",
    };
    let mut statements: Vec<String> = request.sql_header().map(str::to_owned).into_iter().collect();
    if request.node.config.contract.enforced && !temporary {
        statements.push(format!("{create} {relation} {}", contract::table_definition(request.node)?));
        statements.push(format!(
            "insert into {relation} ({}) (\n{}\n)",
            contract::column_list(request.node),
            contract::select_in_order(request.node, request.sql),
        ));
    } else {
        statements.push(format!("{create} {relation}\nas (\n{}\n)", request.sql));
    }
    Ok(statements)
}

fn unlogged(request: &Request<'_>) -> bool {
    request.dialect == AdapterType::Postgres
        && request.node.config.extra.get("unlogged").and_then(serde_json::Value::as_bool).unwrap_or(false)
}
