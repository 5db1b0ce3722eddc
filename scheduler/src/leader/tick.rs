//! What time alone makes necessary: leases that ended, retries that are due, runs and attempts out of time, runs and files that
//! are old enough to forget.

use std::collections::BTreeMap;
use std::time::Duration;

use common::{RunId, Timestamp, WorkerId};

use crate::state::planted::Bug;
use crate::state::{Command, RunState, State};

/// How the leader judges time.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A worker not heard for this long is lost.
    pub lease: Duration,
    /// A closed session means a dead process, as in one process; else the lease decides.
    pub lose_on_disconnect: bool,
    /// Finished runs that are remembered.
    pub runs_kept: usize,
    /// Finished runs and decided ticks are remembered for so long at most.
    pub history_kept: Option<Duration>,
    /// What the attempts of finished runs left, their SQL and logs, is kept for so long at most.
    pub transcripts_kept: Option<Duration>,
}

/// When each worker was last heard. Lives on the leader only: heartbeats never enter the log.
#[derive(Clone, Debug)]
pub struct Liveness {
    since: Timestamp,
    heard: BTreeMap<WorkerId, Timestamp>,
}

impl Liveness {
    /// A leader that leads since `since` has heard nobody yet, and gives everyone a lease from then on.
    pub fn new(since: Timestamp) -> Self {
        Self { since, heard: BTreeMap::new() }
    }

    pub fn heard(&mut self, worker: &WorkerId, at: Timestamp) {
        let last = self.heard.entry(worker.clone()).or_insert(at);
        *last = at.max(*last);
    }

    /// None of a worker that this leader has not heard yet.
    pub fn last(&self, worker: &WorkerId) -> Option<Timestamp> {
        self.heard.get(worker).copied()
    }

    pub fn forget(&mut self, worker: &WorkerId) {
        self.heard.remove(worker);
    }

    fn expiry(&self, worker: &WorkerId, policy: &Policy) -> Timestamp {
        self.heard.get(worker).copied().unwrap_or(self.since).max(self.since).plus(policy.lease)
    }
}

/// Old ticks are looked for so often.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Runs whose transcripts are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// How long files are kept that no bundle names: long enough to upload the rest of a project.
const LOOSE_KEPT: Duration = Duration::from_secs(3_600);

/// When [`tick`] has something to do at the latest.
pub(super) fn next(state: &State, liveness: &Liveness, policy: &Policy) -> Option<Timestamp> {
    let lease = state.workers().map(|(worker, _)| liveness.expiry(worker, policy)).min();
    let loose = state.projects().loose_since().map(|since| since.plus(LOOSE_KEPT));
    let old = policy.history_kept.and_then(|kept| {
        let run = state.finished().next().map(|(at, _)| at.plus(kept));
        let ticks = has_ticks(state).then(|| state.forgotten_before().plus(kept).plus(FORGET_EVERY));
        run.into_iter().chain(ticks).min()
    });
    let deadline = state.alerts().next_deadline();
    let transcripts = policy.transcripts_kept.and_then(|kept| told(state).next().map(|(_, at)| at.plus(kept)));
    [lease, loose, old, deadline, transcripts, state.next_retry(), state.next_timeout()].into_iter().flatten().min()
}

/// Runs with transcripts and when they finished, from the oldest on; up to the first that has not finished.
fn told(state: &State) -> impl Iterator<Item = (RunId, Timestamp)> {
    state.transcripts().map_while(|(id, _)| match state.run(id)?.state {
        RunState::Finished { at, .. } => Some((*id, at)),
        _ => None,
    })
}

fn has_ticks(state: &State) -> bool {
    state.schedules().len() > 0 || state.backfills().next().is_some()
}

pub fn tick(state: &State, liveness: &Liveness, policy: &Policy, now: Timestamp) -> Vec<Command> {
    let silent = state.workers().map(|(worker, _)| worker).filter(|worker| liveness.expiry(worker, policy) <= now);
    let mut commands: Vec<Command> = silent.map(|worker| Command::LoseWorker { worker: worker.clone() }).collect();
    if state.has(Bug::LeaseIgnored) {
        commands.clear();
    }
    if state.next_retry().is_some_and(|due_at| due_at <= now) {
        commands.push(Command::PromoteRetries);
    }
    if state.next_timeout().is_some_and(|due_at| due_at <= now) {
        commands.push(Command::EnforceTimeouts);
    }
    if state.alerts().next_deadline().is_some_and(|due_at| due_at <= now) {
        commands.push(Command::TellDeadlines);
    }
    let is_old = |since: Timestamp| since.plus(LOOSE_KEPT) <= now;
    if state.projects().loose_since().is_some_and(is_old) {
        // Up to `now` less the time kept, and that moment included.
        let before = Timestamp(now.as_micros().saturating_sub(LOOSE_KEPT.as_micros() as i64).saturating_add(1));
        commands.push(Command::CollectBlobs { before });
    }
    let finished = state.finished();
    let too_many = finished.len().saturating_sub(policy.runs_kept);
    let is_too_old = |at: Timestamp| policy.history_kept.is_some_and(|kept| at.plus(kept) <= now);
    let old = finished.enumerate().take_while(|(place, (at, _))| *place < too_many || is_too_old(*at));
    let runs: Vec<RunId> = old.map(|(_, (_, run))| run).collect();
    if !runs.is_empty() {
        commands.push(Command::RemoveRuns { runs });
    }
    if let Some(kept) = policy.transcripts_kept {
        let old = told(state).take_while(|(_, at)| at.plus(kept) <= now).map(|(run, _)| run);
        let runs: Vec<RunId> = old.take(FORGOTTEN_AT_ONCE).collect();
        if !runs.is_empty() {
            commands.push(Command::ForgetTranscripts { runs });
        }
    }
    if let Some(kept) = policy.history_kept.filter(|_| has_ticks(state)) {
        let before = Timestamp(now.as_micros().saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX)));
        if state.forgotten_before().plus(FORGET_EVERY) <= before {
            commands.push(Command::ForgetTicks { before });
        }
    }
    commands
}
