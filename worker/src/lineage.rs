//! What a node reads and writes, for OpenLineage: told when an attempt begins and when it ends.

use common::lineage::{Dataset, Event, Moment};
use common::manifest::{ColumnInfo, Node, ResourceType};
use common::node_config::Materialization;
use common::target::AdapterType;
use common::task::{Assignment, TaskOutcome, TaskReport};
use common::{Manifest, NodeId, RunId, lineage};

use crate::run::Run;
use crate::trace::now;

/// An attempt begins.
pub fn began(assignment: &Assignment, run: &Run) {
    if let Some(event) = event(Moment::Start, assignment.run, &assignment.node, run) {
        event.record();
    }
}

/// An attempt has ended.
pub fn ended(report: &TaskReport, run: &Run) {
    let moment = match &report.outcome {
        TaskOutcome::Success => Moment::Complete,
        TaskOutcome::Failure { .. } => Moment::Fail,
        TaskOutcome::Canceled => Moment::Abort,
    };
    let Some(mut event) = event(moment, report.run, &report.node, run) else { return };
    if let TaskOutcome::Failure { message, .. } = &report.outcome {
        event = event.error(message);
    }
    if let Some(sql) = &report.result.compiled_code {
        event = event.sql(sql);
    }
    if let (Moment::Complete, Some(written)) = (moment, written(&report.node, run)) {
        event = event.output(&written, report.result.response.rows_affected);
    }
    event.record();
}

/// None of what neither reads nor writes data, and where nobody listens.
fn event(moment: Moment, id: RunId, node: &NodeId, run: &Run) -> Option<Event> {
    let manifest = run.manifest();
    let known = manifest.nodes.get(node).filter(|_| lineage::is_on())?;
    if known.resource_type == ResourceType::Operation {
        return None;
    }
    let verb = run.options.verb.as_str();
    let event = Event::of_node(moment, now(), id, node, &manifest.project_name, verb);
    Some(event.inputs(known.depends_on.nodes.iter().filter_map(|read| dataset(manifest, read, run))))
}

/// What the node leaves in the warehouse.
fn written(id: &NodeId, run: &Run) -> Option<Dataset> {
    let node = run.manifest().nodes.get(id)?;
    let is_built = matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
    is_built.then(|| dataset(run.manifest(), id, run)).flatten()
}

fn dataset(manifest: &Manifest, id: &NodeId, run: &Run) -> Option<Dataset> {
    let columns = |columns: &mut dyn Iterator<Item = &ColumnInfo>| {
        columns.map(|column| (column.name.clone(), column.data_type.clone(), column.description.clone())).collect()
    };
    if let Some(source) = manifest.sources.get(id) {
        let database = source.database.as_deref().unwrap_or(&run.target.database);
        return Some(Dataset {
            namespace: namespace(run),
            name: [database, &source.schema, &source.identifier].join("."),
            columns: columns(&mut source.columns.values()),
        });
    }
    let node = manifest.nodes.get(id).filter(|node| is_relation(node))?;
    Some(Dataset {
        namespace: namespace(run),
        name: [node.database.as_str(), &node.schema, &node.alias].join("."),
        columns: columns(&mut node.columns.values()),
    })
}

fn is_relation(node: &Node) -> bool {
    let is_kind = matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
    is_kind && node.config.materialized != Materialization::Ephemeral
}

/// OpenLineage's naming conventions; for DuckDB there is none, so it is the file.
fn namespace(run: &Run) -> String {
    let text =
        |key: &str| run.target.extra.get(key).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    match run.target.adapter_type {
        AdapterType::Postgres => {
            let (host, port) = (text("host").unwrap_or_default(), text("port").unwrap_or_else(|| "5432".to_owned()));
            format!("postgres://{host}:{port}")
        }
        AdapterType::Duckdb => format!("duckdb://{}", text("path").unwrap_or_else(|| ":memory:".to_owned())),
    }
}
