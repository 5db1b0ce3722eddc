//! From the leader's updates to console lines and outcomes.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::Receiver;

use common::diagnostic::Code;
use common::target::Target;
use common::task::{FailureKind, NodeResult, NodeStatus, TaskState};
use common::{Manifest, NodeId};
use dbt::hooks::When;
use scheduler::local::{Event as Committed, Update};
use scheduler::state::{Ending, RunOutcome};

use super::lines::{node_line, source_line};
use super::outcome::Outcomes;
use super::{exposures, hooks};
use crate::console::{Console, Event, NodeKind, NodeLine};

/// Updates whose lines are printed at once.
const UPDATES_AT_ONCE: usize = 256;

/// Follows one run to its end.
pub struct Follower<'a> {
    /// None where nodes have no lines of their own.
    pub console: Option<&'a Console>,
    pub manifest: &'a Manifest,
    pub target: &'a Target,
    /// Nodes and exposures: each has a numbered line.
    pub total: usize,
    /// Those of the run that are still to be told of.
    pub exposures: BTreeSet<NodeId>,
    pub outcomes: &'a mut Outcomes,
    index: usize,
    started: HashMap<NodeId, NodeLine>,
}

impl<'a> Follower<'a> {
    /// Of a run of so many nodes besides hooks and exposures.
    pub fn new(
        console: Option<&'a Console>,
        manifest: &'a Manifest,
        target: &'a Target,
        (nodes, exposures): (usize, BTreeSet<NodeId>),
        outcomes: &'a mut Outcomes,
    ) -> Self {
        let total = nodes + exposures.len();
        Self { console, manifest, target, total, exposures, outcomes, index: 0, started: HashMap::new() }
    }

    /// Prints and records updates until the run is finished; `None` where the leader stopped before.
    pub fn follow(&mut self, updates: &Receiver<Update>) -> Option<RunOutcome> {
        while let Ok(first) = updates.recv() {
            // What came with it is printed with it.
            let console = self.console;
            let _lines = console.map(Console::hold);
            for update in std::iter::once(first).chain(updates.try_iter().take(UPDATES_AT_ONCE)) {
                if let Some(outcome) = self.react(update) {
                    return Some(outcome);
                }
            }
        }
        None
    }

    /// Tells of a node that is not run.
    pub fn skip(&mut self, node: &NodeId) {
        self.finished(node, &TaskState::Skipped, None);
    }

    fn react(&mut self, update: Update) -> Option<RunOutcome> {
        match update {
            Update::Started { node, .. } => self.started(&node),
            Update::Event(Committed::TaskUpForRetry { node, attempt, ending, .. }) => {
                let reason = ending.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
                self.emit(&Event::Note(format!("Attempt {} of {node} will be repeated: {reason}", attempt.0)));
            }
            Update::Event(Committed::TaskFinished { node, state, ending, .. }) => {
                self.finished(&node, &state, ending.as_deref());
            }
            Update::Event(Committed::RunFinished { outcome, .. }) => return Some(outcome),
            Update::Event(_) => {}
        }
        None
    }

    pub fn emit(&self, event: &Event) {
        if let Some(console) = self.console {
            console.emit(event);
        }
    }

    fn progress_started(&self, line: &NodeLine) {
        if let Some(console) = self.console.filter(|_| line.kind != NodeKind::Hook) {
            console.progress_started(&line.description);
        }
    }

    fn progress_finished(&self, line: &NodeLine) {
        if let Some(console) = self.console.filter(|_| line.kind != NodeKind::Hook) {
            console.progress_finished(&line.description);
        }
    }

    /// The number of the last line, for what is not a task (exposures).
    pub fn next_index(&mut self) -> usize {
        self.index += 1;
        self.index
    }

    fn line(&mut self, node: &NodeId) -> Option<NodeLine> {
        if let Some(source) = self.manifest.sources.get(node) {
            let line = source_line(source, self.total);
            return Some(NodeLine { index: self.next_index(), ..line });
        }
        let node = self.manifest.nodes.get(node)?;
        if let Some(line) = hooks::line(self.manifest, node) {
            if line.index == 1 && When::of(node) == Some(When::End) {
                exposures::finish(self);
                self.emit(&Event::Blank);
            }
            return Some(line);
        }
        let mut line = node_line(node, self.target, self.total);
        line.index = self.next_index();
        Some(line)
    }

    fn started(&mut self, node: &NodeId) {
        // A further attempt of a node keeps its first line's number.
        if self.started.contains_key(node) {
            return;
        }
        let Some(line) = self.line(node) else { return };
        self.progress_started(&line);
        self.emit(&Event::Started(line.clone()));
        self.started.insert(node.clone(), line);
    }

    fn finished(&mut self, node: &NodeId, state: &TaskState, ending: Option<&Ending>) {
        let result = result_of(state, ending);
        let begun = self.started.remove(node);
        let is_skipped = begun.is_none() || result.status == NodeStatus::Skipped;
        let Some(line) = begun.or_else(|| self.line(node)) else { return };
        self.progress_finished(&line);
        let is_last = line.index == line.total;
        let event = if is_skipped {
            Event::Skipped(line)
        } else {
            Event::Finished {
                node: line,
                status: result.status,
                message: result.message.clone().unwrap_or_default(),
                failures: result.failures,
                seconds: result.execute_completed_at.since(result.compile_started_at).as_secs_f64(),
            }
        };
        self.emit(&event);
        if is_last && self.manifest.nodes.get(node).and_then(When::of) == Some(When::Start) {
            self.emit(&Event::Blank);
        }
        match failed_with(state, ending) {
            Some(code) => self.outcomes.push_failed(node.clone(), result, code),
            None => self.outcomes.push(node.clone(), result),
        }
    }
}

/// What `run_results.json` says of a task that ended in `state`.
pub fn result_of(state: &TaskState, ending: Option<&Ending>) -> NodeResult {
    if let Some(result) = ending.and_then(|ending| ending.result.clone())
        && matches!(state, TaskState::Success | TaskState::Failed(_))
    {
        return result;
    }
    let failure = ending.and_then(|ending| ending.failure.as_ref());
    let (status, message) = match state {
        TaskState::Success => (NodeStatus::Success, None),
        TaskState::Failed(kind) => (
            NodeStatus::Error,
            Some(failure.map_or_else(|| format!("{kind:?}: the attempt ended without a word"), |f| f.message.clone())),
        ),
        _ => (NodeStatus::Skipped, None),
    };
    NodeResult::untold(status, message)
}

/// The code of a task that ended as a failure.
fn failed_with(state: &TaskState, ending: Option<&Ending>) -> Option<Code> {
    let TaskState::Failed(kind) = state else { return None };
    let failure = ending.and_then(|ending| ending.failure.as_ref());
    Some(failure.map_or_else(|| code_of(*kind), |failure| failure.code))
}

fn code_of(kind: FailureKind) -> Code {
    match kind {
        FailureKind::User => Code::SqlError,
        FailureKind::TestFailed => Code::TestFailed,
        FailureKind::Transient => Code::WarehouseUnavailable,
        FailureKind::System => Code::Internal,
        FailureKind::Timeout => Code::Timeout,
        FailureKind::WorkerLost => Code::WorkerLost,
        FailureKind::Fenced => Code::Fenced,
        FailureKind::Canceled => Code::Canceled,
    }
}
