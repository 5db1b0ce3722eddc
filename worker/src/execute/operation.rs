//! What runs SQL without building a node: hooks of the run, and looking at a query's rows.

use std::rc::Rc;

use common::manifest::ResourceType;
use common::table::{Response, Table};
use common::task::NodeResult;
use common::{JsonMap, NodeId};
use dbt::artifacts::NodeOutcome;
use dbt::hooks::When;

use super::Attempt;
use crate::adapter::Adapter;
use crate::failure::Result;
use crate::run::Run;
use crate::warehouse::Error;

/// Creates the schemas that the run's nodes are built in: hooks of the start may use them.
pub fn create_schemas(run: &Run, nodes: &[NodeId], adapter: &Adapter) -> std::result::Result<(), Error> {
    let manifest = run.manifest();
    for node in nodes.iter().filter_map(|id| manifest.nodes.get(id)) {
        let is_built = matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
        if is_built && node.relation_name.is_some() {
            let relation = node.relation(manifest.quoting);
            run.ensure_schema(adapter.connection()?.as_mut(), &relation)?;
        }
    }
    Ok(())
}

/// Renders and runs one hook of `on-run-start` or `on-run-end`, which sees `names` besides the usual ones. Gives its SQL, and no
/// response where that is empty.
pub fn operation(run: &Run, node: &NodeId, adapter: &Adapter, names: &JsonMap) -> Result<(String, Option<Response>)> {
    let answered = render_and_run(run, node, adapter, names);
    // A template may have left a transaction open; the next task must not inherit it.
    adapter.rollback()?;
    answered
}

impl Attempt<'_> {
    /// A hook that is a task of its run, as on a cluster.
    pub(super) fn operation(&mut self) -> Result<()> {
        // As dbt counts them.
        self.result.failures = Some(1);
        let selected = self.run.compiler.selected();
        let names = match When::of(self.node) {
            Some(When::End) => names_at_end(self.run, selected)?,
            _ => {
                create_schemas(self.run, selected, &self.adapter)?;
                JsonMap::new()
            }
        };
        let (sql, response) = operation(self.run, &self.node.unique_id, &self.adapter, &names)?;
        self.result.response = response.unwrap_or_default();
        self.result.compiled_code = Some(sql);
        self.result.message = Some(format!("{} passed", dbt::hooks::statement(self.node)));
        self.result.failures = Some(0);
        Ok(())
    }
}

/// Exposures come last: nobody ran them.
fn names_at_end(run: &Run, selected: &[NodeId]) -> Result<JsonMap> {
    let manifest = run.manifest();
    let mut outcomes = run.outcomes()?;
    let exposures = selected.iter().filter_map(|id| {
        let exposure = manifest.exposures.get(id)?;
        Some((id.clone(), NodeOutcome::of_exposure(exposure, outcomes.iter().map(told))))
    });
    let exposures: Vec<_> = exposures.collect();
    outcomes.extend(exposures);
    Ok(dbt::hooks::names_at_end(manifest, outcomes.iter().map(told)))
}

fn told((node, result): &(NodeId, NodeResult)) -> NodeOutcome<'_> {
    NodeOutcome { node, result }
}

fn render_and_run(run: &Run, node: &NodeId, adapter: &Adapter, names: &JsonMap) -> Result<(String, Option<Response>)> {
    let mut session = run.compiler.session(node, Rc::new(adapter.clone()))?;
    session.define(names);
    let sql = session.compile()?.compiled_code;
    let response = if sql.trim().is_empty() { None } else { Some(adapter.run(sql.trim())?) };
    Ok((sql, response))
}

/// The first rows of a node's query, for `show`. Negative limits of dbt's command line are `None` here: all rows.
pub fn preview(run: &Run, node: &NodeId, adapter: &Adapter, limit: Option<u64>) -> Result<(String, Table)> {
    let mut session = run.compiler.session(node, Rc::new(adapter.clone()))?;
    let compiled = session.compile()?.compiled_code;
    let sql = match limit {
        Some(limit) => format!("{compiled}\nlimit {limit}"),
        None => compiled.clone(),
    };
    let table = adapter.query(&sql)?.1;
    Ok((compiled, table))
}
