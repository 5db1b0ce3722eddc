//! What everybody who listens may rely on: endings follow from live attempts, and publications from endings.

use common::task::{FailureKind, TaskOutcome, TaskState};
use common::{NodeId, RunId};
use scheduler::leader::{Leader, Ticket, Update};
use scheduler::state::{Event, Reply};

use super::World;

impl World {
    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) -> Result<(), String> {
        if let Reply::Submitted { run, .. } = reply {
            self.client.answered(ticket, run)?;
        }
        Ok(())
    }

    pub(super) fn hear(&mut self, update: Update) -> Result<(), String> {
        let Update::Event(event) = update else { return Ok(()) };
        match event {
            Event::TaskAssigned { assignment, .. } => self
                .watch
                .assigned(assignment.run, &assignment.node, assignment.epoch)
                .map_err(|violation| violation.to_string()),
            Event::TaskFinished { run, node, state, .. } => self.check_ending(run, &node, &state),
            Event::RunRetried { run, .. } => {
                self.finished.remove(&run);
                Ok(())
            }
            Event::RunFinished { run, outcome, .. } => match self.finished.insert(run, outcome) {
                Some(before) => Err(format!("a run finishes once: {run} was {before:?}, now {outcome:?}")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A task ends as its live attempt ended.
    pub(super) fn check_ending(&self, run: RunId, node: &NodeId, ended: &TaskState) -> Result<(), String> {
        let state = self.leader.as_ref().map(Leader::state);
        let task = state.and_then(|state| state.run(&run)).and_then(|run| run.task(node));
        let Some(epoch) = task.map(|task| task.epoch) else { return Ok(()) };
        let told = self.told_outcomes.get(&(run, node.clone(), epoch));
        let holds = match (ended, told) {
            (TaskState::Success, Some(TaskOutcome::Success)) => true,
            // The leader's own verdict, whatever the worker would have told.
            (TaskState::Failed(FailureKind::WorkerLost | FailureKind::Canceled), _) => true,
            (TaskState::Failed(kind), Some(TaskOutcome::Failure { kind: told, .. })) => kind == told,
            (TaskState::Failed(_), _) => false,
            (TaskState::Success, _) => false,
            _ => true,
        };
        if !holds {
            return Err(format!("the live attempt decides: {node} of {run} is {ended:?}, but {epoch} told {told:?}"));
        }
        if *ended == TaskState::Success { self.check_publication(run, node) } else { Ok(()) }
    }

    /// The accepted attempt published, or found what an earlier one had published.
    pub(super) fn check_publication(&self, run: RunId, node: &NodeId) -> Result<(), String> {
        let state = self.leader.as_ref().map(Leader::state);
        let task = state.and_then(|state| state.run(&run)).and_then(|run| run.task(node));
        let Some(accepted) = task.map(|task| task.epoch) else { return Ok(()) };
        match self.warehouse.published(run, node) {
            [epoch] if *epoch <= accepted => Ok(()),
            published => Err(format!(
                "one publication, the accepted attempt's: {node} of {run} under {accepted} has {published:?}"
            )),
        }
    }

    pub(super) fn check_publications(&self) -> Result<(), String> {
        for ((run, node), epochs) in self.warehouse.publications() {
            if epochs.len() > 1 {
                return Err(format!("published once: {node} of {run} was published under {epochs:?}"));
            }
        }
        Ok(())
    }
}
