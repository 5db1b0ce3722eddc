//! `materialized: table`, and an incremental model that is built from scratch.
//!
//! DuckDB shows each transaction one version of the catalog, so the table is replaced under its own name and nothing is staged.
//! PostgreSQL would block readers for as long as the table is filled: there it is built aside and swapped in.

use common::RelationType;
use common::target::AdapterType;

use super::ddl::{self, Creation};
use super::plan::{Plan, main, other};
use super::{Overrides, Request, docs, grants, indexes};
use crate::failure::Result;
use crate::warehouse::Statement;

/// Replaces whatever is there by a table of the SQL's rows.
pub fn plan(request: &Request<'_>, overrides: &mut dyn Overrides) -> Result<Plan> {
    let mut plan = Plan::default();
    match request.dialect {
        AdapterType::Duckdb => {
            plan.publication.extend(drop_other_kind(request).map(other));
            let creation = match request.existing_type() {
                Some(RelationType::Table) => Creation::Replace,
                _ => Creation::New,
            };
            plan.publication.extend(last_is_main(ddl::create_table(request, request.target, creation, overrides)?));
            plan.publication.extend(indexes::statements(request, request.target)?.into_iter().map(other));
        }
        AdapterType::Postgres => {
            let staging = request.staging(RelationType::Table);
            plan.staging.extend(last_is_main(ddl::create_table(request, &staging, Creation::New, overrides)?));
            plan.staging.extend(indexes::statements(request, &staging)?.into_iter().map(other));
            plan.abandon.push(format!("drop table if exists {staging}"));
            plan.publication.push(Statement::Swap { staging, target: request.target_as_found() });
        }
    }
    let comments = docs::comments(request.node, request.target, RelationType::Table, request.columns)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}

/// DuckDB's `create or replace table` refuses to replace a view.
pub(super) fn drop_other_kind(request: &Request<'_>) -> Option<String> {
    (request.existing_type() == Some(RelationType::View)).then(|| format!("drop view if exists {}", request.target))
}

/// The statement that fills the relation is the last one.
pub(super) fn last_is_main(mut statements: Vec<String>) -> Vec<Statement> {
    let last = statements.pop();
    statements.into_iter().map(other).chain(last.map(main)).collect()
}
