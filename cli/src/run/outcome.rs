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
        let failed = |outcome: &Outcome| matches!(outcome.result.status, NodeStatus::Error | NodeStatus::Fail);
        if self.all.iter().any(failed) { Exit::NodeFailed } else { Exit::Success }
    }

    /// The errors alone, for verbs without a summary.
    pub fn print_errors(&self, console: &Console, manifest: &Manifest) {
        for outcome in self.all.iter().filter(|outcome| outcome.result.status == NodeStatus::Error) {
            print_outcome(console, manifest, Path::new(""), outcome, false);
        }
    }

    /// Whether sources were looked at, and nothing was built.
    pub fn are_sources(&self) -> bool {
        let mut nodes = self.all.iter().map(|outcome| outcome.node.resource_type()).filter(|kind| *kind != "operation");
        nodes.next() == Some("source")
    }

    /// Each source that is too old or could not be looked at, and `Done.`
    pub fn print_freshness(&self, console: &Console, manifest: &Manifest) {
        for Outcome { node, result, code } in &self.all {
            let message = match result.status {
                NodeStatus::Fail => "Status: error".to_owned(),
                NodeStatus::Error => result.message.clone().unwrap_or_default(),
                _ => continue,
            };
            let source = manifest.sources.get(node);
            let name = source.map_or_else(|| node.to_string(), |source| source.name.clone());
            let path = source.map(|source| source.original_file_path.clone()).unwrap_or_default();
            console.emit(&Event::Blank);
            console.emit(&Event::ResultFailure { resource_type: node.resource_type().to_owned(), name, path });
            console.emit(&Event::ResultMessage { message, is_warning: false });
            if let Some(code) = code {
                console.emit(&Event::ResultCode(*code));
            }
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
        let failures = of(&[NodeStatus::Error, NodeStatus::Fail]);
        let warnings = of(&[NodeStatus::Warn]);
        console.emit(&Event::Blank);
        console.emit(&Event::Summary { errors: failures.len(), warnings: warnings.len(), ended });
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
            error: self.count(&[NodeStatus::Error, NodeStatus::Fail]),
            skip: self.count(&[NodeStatus::Skipped]),
            no_op: self.count(&[NodeStatus::NoOp]),
        });
    }
}

fn print_outcome(console: &Console, manifest: &Manifest, compiled: &Path, outcome: &Outcome, is_warning: bool) {
    let node = manifest.nodes.get(&outcome.node);
    let resource_type = node.map_or("operation", |node| node.resource_type.as_str()).to_owned();
    let name = node.map_or_else(|| outcome.node.to_string(), |node| name_of(node).to_owned());
    let path = node.map(|node| node.original_file_path.clone()).unwrap_or_default();
    console.emit(&Event::Blank);
    console.emit(&if is_warning {
        Event::ResultWarning { resource_type, name, path }
    } else {
        Event::ResultFailure { resource_type, name, path }
    });
    if let Some(message) = &outcome.result.message {
        console.emit(&Event::ResultMessage { message: message.clone(), is_warning });
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
