//! What runs SQL without building a node: hooks of the run, and looking at a query's rows.

use std::rc::Rc;

use common::manifest::ResourceType;
use common::table::{Response, Table};
use common::{JsonMap, NodeId};

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
