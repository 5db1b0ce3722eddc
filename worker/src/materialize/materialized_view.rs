//! `materialized: materialized_view` (PostgreSQL).
//!
//! As in dbt, changed SQL of a materialized view that exists takes effect with a full refresh only; without it the rows are
//! computed anew.

use common::RelationType;

use super::plan::{Plan, main, other};
use super::{Request, docs, grants, indexes};
use crate::failure::Result;

/// Replaces whatever is there by a new materialized view. The name is taken over in one transaction, with what depends on it
/// dropped, as dbt drops it.
pub fn create(request: &Request<'_>) -> Result<Plan> {
    let target = request.target;
    let mut plan = Plan::default();
    if let Some(kind) = request.existing_type() {
        plan.publication.push(other(format!("drop {} if exists {target} cascade", written_kind(kind))));
    }
    plan.publication.push(main(format!("create materialized view {target} as (\n{}\n)", request.sql)));
    plan.publication.extend(indexes::statements(request, target)?.into_iter().map(other));
    decorate(request, plan)
}

/// Computes the rows anew; readers see the old ones until the transaction commits.
pub fn refresh(request: &Request<'_>) -> Result<Plan> {
    let mut plan = Plan::default();
    plan.publication.push(main(format!("refresh materialized view {}", request.target)));
    decorate(request, plan)
}

fn decorate(request: &Request<'_>, mut plan: Plan) -> Result<Plan> {
    let comments = docs::comments(request.node, request.target, RelationType::MaterializedView, request.columns)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}

fn written_kind(kind: RelationType) -> &'static str {
    match kind {
        RelationType::MaterializedView => "materialized view",
        RelationType::View => "view",
        RelationType::Table | RelationType::Cte | RelationType::External => "table",
    }
}
