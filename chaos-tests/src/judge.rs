//! What everybody who listens may rely on, checked as each entry is first applied anywhere: replicas agree, endings follow from
//! live attempts, publications from endings, and who watches is told what happened.

use std::collections::{BTreeMap, BTreeSet};

use common::task::{FailureKind, TaskOutcome, TaskState};
use common::{Epoch, NodeId, RunId};
use scheduler::State;
use scheduler::state::invariants::{self, Watch};
use scheduler::state::{Event, Recorded, RunOutcome};

use crate::warehouse::Warehouse;

#[derive(Debug, Default)]
pub struct Judge {
    /// Who led each term.
    elected: BTreeMap<u64, u64>,
    /// The state's digest after each entry.
    ledger: BTreeMap<u64, u64>,
    watch: Watch,
    finished: BTreeMap<RunId, RunOutcome>,
    /// What was told of each run, in order.
    told: BTreeMap<RunId, Vec<Event>>,
    /// How many events each watcher has seen of each run.
    seen: BTreeMap<RunId, usize>,
    /// How each attempt ended, as its worker told it.
    pub outcomes: BTreeMap<(RunId, NodeId, Epoch), TaskOutcome>,
    /// Runs that somebody was told do not exist.
    pub denied: BTreeSet<RunId>,
    /// The last entry whose effect somebody was told of.
    pub acknowledged: u64,
}

impl Judge {
    /// A replica applied an entry; whether it was the first to.
    pub fn applied(
        &mut self,
        index: u64,
        state: &State,
        events: &[Event],
        warehouse: &Warehouse,
    ) -> Result<bool, String> {
        let digest = state.digest();
        match self.ledger.get(&index) {
            Some(known) if *known == digest => return Ok(false),
            Some(_) => return Err(format!("replicas agree: entry {index} differs")),
            None => self.ledger.insert(index, digest),
        };
        if self.ledger.last_key_value().is_some_and(|(last, _)| *last != index) {
            return Err(format!("entries apply in order: {index} is new and later ones are not"));
        }
        for event in events {
            self.hear(state, event, warehouse)?;
        }
        let violated = |violation: invariants::Violation| violation.to_string();
        invariants::check(state).map_err(violated)?;
        self.watch.observe(state).map_err(violated)?;
        Ok(true)
    }

    /// A replica leads.
    pub fn leads(&mut self, term: u64, replica: u64) -> Result<(), String> {
        match *self.elected.entry(term).or_insert(replica) {
            known if known == replica => Ok(()),
            other => Err(format!("one leader a term: {other} and {replica} in {term}")),
        }
    }

    /// The last entry that anybody applied.
    pub fn last(&self) -> u64 {
        self.ledger.last_key_value().map_or(0, |(index, _)| *index)
    }

    fn hear(&mut self, state: &State, event: &Event, warehouse: &Warehouse) -> Result<(), String> {
        let is_kept = !matches!(event, Event::TaskCancelRequested { .. } | Event::RunRemoved { .. });
        if let Some(run) = event.run().filter(|_| is_kept) {
            self.told.entry(run).or_default().push(event.clone());
        }
        match event {
            Event::RunSubmitted { run } if self.denied.contains(run) => {
                Err(format!("an unknown outcome is not a failure: {run} was said not to exist"))
            }
            Event::TaskAssigned { assignment, .. } => self
                .watch
                .assigned(assignment.run, &assignment.node, assignment.epoch)
                .map_err(|violation| violation.to_string()),
            Event::TaskFinished { run, node, state: ended, .. } => {
                self.check_ending(state, *run, node, ended, warehouse)
            }
            Event::RunRetried { run, .. } => {
                self.finished.remove(run);
                Ok(())
            }
            Event::RunFinished { run, outcome, .. } => match self.finished.insert(*run, *outcome) {
                Some(before) => Err(format!("a run finishes once: {run} was {before:?}, now {outcome:?}")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Somebody is told that a proposal has failed.
    pub fn deny(&mut self, run: RunId) -> Result<(), String> {
        self.denied.insert(run);
        if self.told.contains_key(&run) {
            return Err(format!("an unknown outcome is not a failure: {run} exists"));
        }
        Ok(())
    }

    /// A task ends as its live attempt ended.
    fn check_ending(
        &self,
        state: &State,
        run: RunId,
        node: &NodeId,
        ended: &TaskState,
        warehouse: &Warehouse,
    ) -> Result<(), String> {
        let task = state.run(&run).and_then(|run| run.task(node));
        let Some(epoch) = task.map(|task| task.epoch) else { return Ok(()) };
        let told = self.outcomes.get(&(run, node.clone(), epoch));
        let holds = match (ended, told) {
            (TaskState::Success, Some(TaskOutcome::Success)) => true,
            // The state machine's own verdict, whatever the worker would have told.
            (TaskState::Failed(FailureKind::WorkerLost | FailureKind::Canceled | FailureKind::Timeout), _) => true,
            (TaskState::Failed(kind), Some(TaskOutcome::Failure { kind: told, .. })) => kind == told,
            (TaskState::Failed(_), _) => false,
            (TaskState::Success, _) => false,
            _ => true,
        };
        if !holds {
            return Err(format!("the live attempt decides: {node} of {run} is {ended:?}, but {epoch} told {told:?}"));
        }
        if *ended != TaskState::Success {
            return Ok(());
        }
        // The accepted attempt published, or found what an earlier one had published.
        match warehouse.published(run, node) {
            [published] if *published <= epoch => Ok(()),
            published => {
                Err(format!("one publication, the accepted attempt's: {node} of {run} under {epoch} has {published:?}"))
            }
        }
    }

    /// Goes on watching a run at any replica: no gap, no repeat, nothing that did not happen.
    pub fn watch(&mut self, state: &State, run: RunId) -> Result<(), String> {
        let Some(run) = state.run(&run) else { return Ok(()) };
        let seen = self.seen.entry(run.id).or_default();
        let told = self.told.get(&run.id).map(Vec::as_slice).unwrap_or_default();
        for Recorded { sequence, event, .. } in run.events(*seen as u64) {
            if sequence != *seen as u64 + 1 || told.get(*seen) != Some(&event) {
                return Err(format!("who watches sees what happened: event {sequence} of {} is {event:?}", run.id));
            }
            *seen += 1;
        }
        if run.last_sequence() > *seen as u64 {
            return Err(format!("who watches sees everything: {} ends at {seen}", run.id));
        }
        Ok(())
    }

    pub fn runs(&self) -> Vec<RunId> {
        self.told.keys().copied().collect()
    }
}
