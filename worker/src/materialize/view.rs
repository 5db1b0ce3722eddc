//! `materialized: view`

use common::RelationType;

use super::plan::{Plan, other};
use super::{MacroCall, Overrides, Request, docs, grants};
use crate::failure::Result;
use crate::warehouse::Statement;

/// Replaces whatever is there by a view of the SQL.
pub fn plan(request: &Request<'_>, overrides: &mut dyn Overrides) -> Result<Plan> {
    let mut plan = Plan::default();
    let staging = request.staging(RelationType::View);
    match overrides.call(&MacroCall::CreateViewAs { relation: &staging, sql: request.sql })? {
        Some(sql) => {
            plan.staging.push(other(format!("drop view if exists {staging}")));
            plan.staging.push(super::plan::main(sql));
            plan.abandon.push(format!("drop view if exists {staging}"));
            plan.publication.push(Statement::Swap { staging, target: request.target_as_found() });
        }
        None => {
            plan.publication.extend(request.sql_header().map(|header| other(header.to_owned())));
            plan.publication
                .push(Statement::ReplaceView { target: request.target_as_found(), sql: request.sql.to_owned() });
        }
    }
    let comments = docs::comments(request.node, request.target, RelationType::View, request.columns)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}
