//! What became of each node, and the lines that sum it up.

use std::path::Path;

use common::diagnostic::Code;
use common::manifest::{Node, ResourceType};
use common::node_config::Materialization;
use common::task::{NodeResult, NodeStatus};
use common::{Manifest, NodeId};
use dbt::artifacts::{NodeOutcome, sql_path};

use crate::console::{Console, Ended, Event};
use crate::exit::Exit;

/// Ends that make a run a failure.
const FAILED: [NodeStatus; 3] = [NodeStatus::Error, NodeStatus::Fail, NodeStatus::PartialSuccess];

/// The end of one node of the run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub node: NodeId,
    pub result: NodeResult,
    /// Of a node that failed.
    pub code: Option<Code>,
}

/// All ends so far, in the order in which they came.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub all: Vec<Outcome>,
}

impl Outcomes {
    pub fn push(&mut self, node: NodeId, result: NodeResult) {
        self.all.push(Outcome { node, result, code: None });
    }

    pub fn push_failed(&mut self, node: NodeId, result: NodeResult, code: Code) {
        self.all.push(Outcome { node, result, code: Some(code) });
    }

    /// As artifacts and hooks tell them.
    pub fn told(&self) -> impl Iterator<Item = NodeOutcome<'_>> {
        self.all.iter().map(|outcome| NodeOutcome { node: &outcome.node, result: &outcome.result })
    }

    pub fn exit(&self) -> Exit {
        let failed = |outcome: &Outcome| FAILED.contains(&outcome.result.status);
        if self.all.iter().any(failed) { Exit::NodeFailed } else { Exit::Success }
    }

    /// The errors alone, for verbs without a summary.
    pub fn print_errors(&self, console: &Console, manifest: &Manifest) {
        for outcome in self.all.iter().filter(|outcome| outcome.result.status == NodeStatus::Error) {
            print_outcome(console, manifest, Path::new(""), outcome, false);
        }
    }

    /// Each source that is too old or could not be looked at, and `Done.`
    pub fn print_freshness(&self, console: &Console, manifest: &Manifest) {
        let is_bad = |outcome: &&Outcome| matches!(outcome.result.status, NodeStatus::Error | NodeStatus::Fail);
        for outcome in self.all.iter().filter(is_bad) {
            print_outcome(console, manifest, Path::new(""), outcome, false);
        }
        console.emit(&Event::FreshnessDone);
    }

    fn count(&self, statuses: &[NodeStatus]) -> usize {
        self.all.iter().filter(|outcome| statuses.contains(&outcome.result.status)).count()
    }

    /// `Completed …`, each failure and warning with its message and compiled code, `Done. PASS=…`.
    pub fn print_summary(&self, console: &Console, manifest: &Manifest, compiled: &Path, ended: Ended) {
        let of = |statuses: &[NodeStatus]| -> Vec<&Outcome> {
            self.all.iter().filter(|outcome| statuses.contains(&outcome.result.status)).collect()
        };
        let failures = of(&FAILED);
        let partial = self.count(&[NodeStatus::PartialSuccess]);
        let warnings = of(&[NodeStatus::Warn]);
        console.emit(&Event::Blank);
        let errors = failures.len() - partial;
        console.emit(&Event::Summary { errors, partial, warnings: warnings.len(), ended });
        for outcome in failures {
            print_outcome(console, manifest, compiled, outcome, false);
        }
        for outcome in warnings {
            print_outcome(console, manifest, compiled, outcome, true);
        }
        console.emit(&Event::Blank);
        console.emit(&Event::Stats {
            pass: self.count(&[NodeStatus::Success, NodeStatus::Pass]),
            warn: self.count(&[NodeStatus::Warn]),
            error: self.count(&FAILED),
            skip: self.count(&[NodeStatus::Skipped]),
            no_op: self.count(&[NodeStatus::NoOp]),
        });
    }
}

fn print_outcome(console: &Console, manifest: &Manifest, compiled: &Path, outcome: &Outcome, is_warning: bool) {
    let node = manifest.nodes.get(&outcome.node);
    let source = manifest.sources.get(&outcome.node);
    let (resource_type, name, path) = match (node, source) {
        (Some(node), _) => (node.resource_type.as_str(), name_of(node), node.original_file_path.as_str()),
        (None, Some(source)) => ("source", source.name.as_str(), source.original_file_path.as_str()),
        (None, None) => ("operation", outcome.node.as_str(), ""),
    };
    let (resource_type, name, path) = (resource_type.to_owned(), name.to_owned(), path.to_owned());
    console.emit(&Event::Blank);
    console.emit(&if is_warning {
        Event::ResultWarning { resource_type, name, path }
    } else {
        Event::ResultFailure { resource_type, name, path }
    });
    // dbt's word for a source that is too old.
    let is_stale = source.is_some() && outcome.result.status == NodeStatus::Fail;
    let message = if is_stale { Some("Status: error".to_owned()) } else { outcome.result.message.clone() };
    if let Some(message) = message {
        console.emit(&Event::ResultMessage { message, is_warning });
    }
    if let Some(code) = outcome.code {
        console.emit(&Event::ResultCode(code));
    }
    let Some(node) = node else { return };
    if outcome.result.compiled_code.is_some() {
        let path = compiled.join(sql_path(node));
        console.emit(&Event::Blank);
        console.emit(&Event::CompiledPath(path.display().to_string()));
    }
    let is_stored = node.resource_type == ResourceType::Test
        && node.config.materialized == Materialization::Test
        && outcome.result.relation_name.is_some();
    if let (true, Some(relation)) = (is_stored, &outcome.result.relation_name) {
        console.emit(&Event::Blank);
        console.emit(&Event::StoredFailures { relation: relation.clone() });
    }
}

/// A unit test is told by its version, too.
fn name_of(node: &Node) -> &str {
    if node.unit_test.is_some() { &node.alias } else { &node.name }
}
