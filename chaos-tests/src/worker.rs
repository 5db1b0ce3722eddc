//! A worker: runs attempts step by step, says what it holds, and resends reports until they are acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::transcript::Packed;
use common::{Epoch, NodeId, RunId, Timestamp, WorkerId};
use scheduler::leader::SessionId;

use crate::dice::Dice;
use crate::planted::Planted;
use crate::warehouse::Warehouse;

type Key = (RunId, NodeId, Epoch);

#[derive(Debug)]
pub struct Worker {
    pub id: WorkerId,
    pub slots: u32,
    pub session: Option<SessionId>,
    /// Frozen: it neither works nor talks until it wakes up, and does not notice.
    pub paused: bool,
    attempts: BTreeMap<Key, Attempt>,
    unacknowledged: BTreeMap<Key, TaskReport>,
    seen: BTreeSet<Key>,
}

#[derive(Debug)]
struct Attempt {
    assignment: Assignment,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Begin,
    /// Looked into the publish log too early: only with the planted bug.
    Looked,
    Claimed,
    Building(usize),
    Publishing,
}

/// What goes wrong in the warehouse, in per cent of the attempts' steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub transient: usize,
    /// The answer to a commit is lost; it happened or it did not.
    pub unknown_commit: usize,
}

impl Worker {
    pub fn new(name: &str, slots: u32) -> Self {
        Self {
            id: WorkerId(name.into()),
            slots,
            session: None,
            paused: false,
            attempts: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    pub fn hello(&self) -> WorkerMessage {
        let held = self.attempts.values().map(|attempt| attempt.assignment.clone());
        let told = self.unacknowledged.values().map(|report| Assignment {
            run: report.run,
            node: report.node.clone(),
            attempt: report.attempt,
            epoch: report.epoch,
        });
        WorkerMessage::Hello {
            worker: self.id.clone(),
            slots: self.slots,
            running: held.chain(told).collect(),
            description: WorkerDescription::default(),
        }
    }

    pub fn resend(&self) -> Vec<WorkerMessage> {
        self.unacknowledged.values().map(|report| WorkerMessage::Report(Box::new(report.clone()))).collect()
    }

    pub fn receive(&mut self, message: LeaderMessage) -> Option<WorkerMessage> {
        match message {
            LeaderMessage::Assign(assignment) => {
                let key = (assignment.run, assignment.node.clone(), assignment.epoch);
                // An assignment may come twice.
                if self.seen.insert(key.clone()) {
                    self.attempts.insert(key, Attempt { assignment, phase: Phase::Begin });
                }
                None
            }
            LeaderMessage::Acknowledged { run, node, epoch } => {
                self.unacknowledged.remove(&(run, node, epoch));
                None
            }
            LeaderMessage::Cancel { run, node, epoch } => {
                let attempt = self.attempts.remove(&(run, node, epoch))?;
                Some(self.report(&attempt.assignment, TaskOutcome::Canceled, NodeStatus::Skipped, None))
            }
            LeaderMessage::Drain => None,
        }
    }

    pub fn is_busy(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// One attempt takes one step.
    pub fn work(
        &mut self,
        dice: &mut Dice,
        warehouse: &mut Warehouse,
        trouble: Trouble,
        broken: &BTreeSet<NodeId>,
        planted: Option<Planted>,
    ) -> Option<WorkerMessage> {
        let keys: Vec<Key> = self.attempts.keys().cloned().collect();
        let key = dice.pick(&keys)?.clone();
        let Attempt { assignment, phase } = self.attempts.remove(&key)?;
        if dice.percent(trouble.transient) {
            return Some(self.fail(&assignment, FailureKind::Transient, planted));
        }
        let (run, node, epoch) = (assignment.run, assignment.node.clone(), assignment.epoch);
        let may_read = planted != Some(Planted::PublishLogNotRead);
        let has_result = may_read && !warehouse.published(run, &node).is_empty();
        let reads_early = planted == Some(Planted::PublishLogReadBeforeClaim);
        let next = match phase {
            Phase::Begin if reads_early && has_result => return Some(self.succeed(&assignment, planted)),
            Phase::Begin if reads_early => Phase::Looked,
            Phase::Begin | Phase::Looked => match warehouse.claim(&node, epoch, planted) {
                Ok(()) => Phase::Claimed,
                Err(_) => return Some(self.fail(&assignment, FailureKind::Fenced, planted)),
            },
            // Only now can no earlier attempt publish any more: adopt what it left.
            Phase::Claimed if !reads_early && has_result => return Some(self.succeed(&assignment, planted)),
            Phase::Claimed => Phase::Building(dice.below(3)),
            Phase::Building(0) if broken.contains(&node) => {
                return Some(self.fail(&assignment, FailureKind::User, planted));
            }
            Phase::Building(0) => Phase::Publishing,
            Phase::Building(left) => Phase::Building(left - 1),
            Phase::Publishing => {
                return Some(self.publish(&assignment, dice, warehouse, trouble, planted));
            }
        };
        self.attempts.insert(key, Attempt { assignment, phase: next });
        None
    }

    fn publish(
        &mut self,
        assignment: &Assignment,
        dice: &mut Dice,
        warehouse: &mut Warehouse,
        trouble: Trouble,
        planted: Option<Planted>,
    ) -> WorkerMessage {
        let (run, node, epoch) = (assignment.run, &assignment.node, assignment.epoch);
        if dice.percent(trouble.unknown_commit) {
            if dice.percent(50) {
                // Refused or not, nobody hears of it.
                let _ = warehouse.publish(run, node, epoch, planted);
            }
            let happened = warehouse.published(run, node).contains(&epoch);
            return if happened && planted != Some(Planted::PublishLogNotRead) {
                self.succeed(assignment, planted)
            } else {
                self.fail(assignment, FailureKind::Transient, planted)
            };
        }
        match warehouse.publish(run, node, epoch, planted) {
            Ok(()) => self.succeed(assignment, planted),
            Err(_) => self.fail(assignment, FailureKind::Fenced, planted),
        }
    }

    fn succeed(&mut self, assignment: &Assignment, planted: Option<Planted>) -> WorkerMessage {
        self.report(assignment, TaskOutcome::Success, NodeStatus::Success, planted)
    }

    fn fail(&mut self, assignment: &Assignment, kind: FailureKind, planted: Option<Planted>) -> WorkerMessage {
        let outcome = TaskOutcome::Failure { kind, code: Code::SqlError, message: String::new() };
        self.report(assignment, outcome, NodeStatus::Error, planted)
    }

    fn report(
        &mut self,
        assignment: &Assignment,
        outcome: TaskOutcome,
        status: NodeStatus,
        planted: Option<Planted>,
    ) -> WorkerMessage {
        let Assignment { run, node, attempt, epoch } = assignment.clone();
        let result = NodeResult {
            status,
            thread: String::new(),
            compile_started_at: Timestamp::default(),
            compile_completed_at: Timestamp::default(),
            execute_started_at: Timestamp::default(),
            execute_completed_at: Timestamp::default(),
            message: None,
            failures: None,
            response: Response::default(),
            relation_name: None,
            compiled_code: None,
            batches: None,
        };
        let transcript = Packed(epoch.0.to_be_bytes().to_vec());
        let report = TaskReport { run, node: node.clone(), attempt, epoch, outcome, result, transcript };
        if planted != Some(Planted::ReportNotResent) {
            self.unacknowledged.insert((run, node, epoch), report.clone());
        }
        WorkerMessage::Report(Box::new(report))
    }
}
