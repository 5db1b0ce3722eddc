//! What must hold for every state, and between a state and the next, as functions: run by the simulation after every step.

use std::collections::BTreeMap;

use common::task::TaskState;
use common::{Attempt, Epoch, NodeId, RunId, ScheduleName, Timestamp, WorkerId};

use super::hooks::is_hook;
use super::schedules::Series;
use super::transcripts::Place;
use super::{Entry, Event, Recorded, Run, RunState, State, StopCause};

/// An invariant that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {detail}")]
pub struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

type Check = fn(&State) -> Result<(), Violation>;

/// Every invariant of a single state.
pub fn check(state: &State) -> Result<(), Violation> {
    const CHECKS: [Check; 14] = [
        steps_are_legal,
        upstreams_come_first,
        epochs_are_known,
        workers_hold_what_runs,
        one_task_writes_a_relation,
        one_worker_writes_a_file,
        journals_follow,
        transcripts_follow,
        runs_finish_with_their_tasks,
        requests_name_runs,
        ticks_are_decided_in_order,
        schedules_wait_for_runs,
        alerts_follow,
        indexes_follow,
    ];
    CHECKS.iter().try_for_each(|check| check(state))?;
    no_slot_is_idle(state)
}

fn ensure(holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { invariant, detail: detail() }) }
}

fn steps_are_legal(state: &State) -> Result<(), Violation> {
    let illegal = state.illegal_steps;
    ensure(illegal == 0, "tasks move along the transition table", || format!("{illegal} illegal steps"))
}

/// No task starts before its upstreams succeeded, and none waits for one that never will. A hook behind nodes starts when they have
/// ended. What succeeded before a retry repeated the hooks in front stays.
fn upstreams_come_first(state: &State) -> Result<(), Violation> {
    for run in state.runs.values() {
        for (index, task) in run.tasks.iter().enumerate() {
            let index = index as u32;
            let mut awaited = run.upstreams.of(index).iter().copied().filter(|&upstream| run.awaits(upstream, index));
            let is_final = |upstream: u32| run.tasks[upstream as usize].state.is_final();
            let holds = match &task.state {
                TaskState::Pending => awaited.clone().next().is_some() && !awaited.any(is_final),
                TaskState::UpstreamFailed => awaited.any(is_final),
                TaskState::Skipped | TaskState::Canceled => true,
                TaskState::Success => awaited.all(|upstream| run.is_hook(upstream)),
                _ => awaited.next().is_none(),
            };
            ensure(holds, "upstreams come first", || format!("{} of {} is {:?}", task.node, run.id, task.state))?;
        }
    }
    Ok(())
}

fn epochs_are_known(state: &State) -> Result<(), Violation> {
    for (run, task) in state.runs.values().flat_map(|run| run.tasks.iter().map(move |task| (run, task))) {
        let live = match &task.state {
            TaskState::Running { epoch, attempt, .. } => *epoch == task.epoch && *attempt == task.attempt,
            TaskState::UpForRetry { attempt, .. } => *attempt == task.attempt,
            _ => true,
        };
        let holds = live && task.epoch.0 <= state.applied && (task.epoch.0 > 0) == (task.attempt.0 > 0);
        ensure(holds, "an epoch is the index of an entry", || format!("{} of {}: {task:?}", task.node, run.id))?;
    }
    Ok(())
}

fn workers_hold_what_runs(state: &State) -> Result<(), Violation> {
    for (run, task) in state.runs.values().flat_map(|run| run.tasks.iter().map(move |task| (run, task))) {
        if let TaskState::Running { worker, .. } = &task.state {
            let known = state.workers.contains_key(worker);
            ensure(known, "running tasks have a worker", || format!("{} of {} runs on {worker}", task.node, run.id))?;
        }
    }
    Ok(())
}

fn one_task_writes_a_relation(state: &State) -> Result<(), Violation> {
    let mut writers: BTreeMap<&str, RunId> = BTreeMap::new();
    for run in state.runs.values() {
        for task in run.tasks.iter().filter(|task| matches!(task.state, TaskState::Running { .. })) {
            let other = task.relation.as_ref().and_then(|relation| writers.insert(relation, run.id));
            ensure(other.is_none(), "one task writes a relation at a time", || format!("{} in {}", task.node, run.id))?;
        }
    }
    Ok(())
}

/// Tasks on a DuckDB file run on the worker that is known to write it, and that one is there.
fn one_worker_writes_a_file(state: &State) -> Result<(), Violation> {
    for writer in state.writers.values() {
        let is_known = state.workers.contains_key(writer);
        ensure(is_known, "a file's writer is registered", || writer.to_string())?;
    }
    for run in state.runs.values() {
        let Some(file) = run.file() else { continue };
        for task in &run.tasks {
            let TaskState::Running { worker, .. } = &task.state else { continue };
            let holds = state.writers.get(file) == Some(worker);
            ensure(holds, "one worker writes a DuckDB file", || format!("{} of {} on {worker}", task.node, run.id))?;
        }
    }
    Ok(())
}

/// Pieces have no gaps, and each is of an attempt that was made in a run that is remembered.
fn transcripts_follow(state: &State) -> Result<(), Violation> {
    for (id, transcripts) in &state.transcripts {
        let tasks = state.runs.get(id).map_or(&[][..], |run| &run.tasks);
        let mut end = 0;
        for Place { task, attempt, bytes } in transcripts.places() {
            let is_known = tasks.get(task as usize).is_some_and(|task| attempt <= task.attempt);
            let detail = || format!("{bytes:?} of task {task} of {id}");
            ensure(is_known && bytes.start == end, "transcripts follow one another", detail)?;
            end = bytes.end;
        }
        let length = transcripts.length();
        ensure(end == length, "a file of transcripts has no end but its last", || format!("{end} of {length}"))?;
    }
    Ok(())
}

/// Numbers have no gaps, and the last event of each task agrees with where it stands.
fn journals_follow(state: &State) -> Result<(), Violation> {
    for run in state.runs.values() {
        let mut next = 1;
        let mut told: Vec<Option<(Attempt, bool)>> = vec![None; run.tasks.len()];
        for Recorded { sequence, event, .. } in run.events(0) {
            ensure(sequence == next, "events are numbered without gaps", || format!("{sequence} of {}", run.id))?;
            next += 1;
            match event {
                Event::TaskAssigned { task, assignment, .. } => told[task as usize] = Some((assignment.attempt, true)),
                Event::TaskUpForRetry { task, attempt, .. } | Event::TaskFinished { task, attempt, .. } => {
                    told[task as usize] = Some((attempt, false));
                }
                _ => {}
            }
        }
        ensure(next == run.last_sequence() + 1, "the journal can be read", || format!("to {next} of {}", run.id))?;
        for (task, told) in run.tasks.iter().zip(told) {
            let running = matches!(task.state, TaskState::Running { .. });
            let holds = told.map_or(task.attempt.0 == 0, |told| told == (task.attempt, running));
            ensure(holds, "the journal tells where tasks stand", || format!("{}: {told:?}, {task:?}", run.id))?;
        }
    }
    Ok(())
}

fn runs_finish_with_their_tasks(state: &State) -> Result<(), Violation> {
    for run in state.runs.values() {
        let ended = run.tasks.iter().all(|task| task.state.is_final());
        let finished = run.is_finished();
        ensure(ended == finished, "a run finishes with its last task", || format!("{}: {:?}", run.id, run.state))?;
        let waits = |task: &super::Task| !task.state.is_final() && !matches!(task.state, TaskState::Running { .. });
        let mut stopping = run.tasks.iter().filter(|task| run.stops(&task.node));
        ensure(!stopping.any(waits), "a stopping run starts nothing", || run.id.to_string())?;
        let skipped = run.tasks.iter().any(|task| task.state == TaskState::Skipped);
        let may_skip =
            run.fail_fast && matches!(run.state, RunState::Stopping(StopCause::FailFast) | RunState::Finished { .. });
        ensure(!skipped || may_skip, "only fail-fast skips", || run.id.to_string())?;
    }
    Ok(())
}

fn requests_name_runs(state: &State) -> Result<(), Violation> {
    let known = |run: &Run| state.requests.get(&run.request) == Some(&run.id);
    let holds = state.requests.len() == state.runs.len() && state.runs.values().all(known);
    ensure(holds, "one request, one run", || format!("{:?}", state.requests))
}

/// Of a schedule's calendar each tick is decided once, and the one that is next comes behind them.
fn ticks_are_decided_in_order(state: &State) -> Result<(), Violation> {
    for (name, scheduled) in &state.schedules {
        let mut last = None;
        for tick in scheduled.ticks().filter(|tick| tick.series == Series::Calendar) {
            let holds = last.is_none_or(|last| last < tick.scheduled_at) && tick.scheduled_at <= tick.until;
            ensure(holds, "a tick is decided once", || format!("{tick:?} of {name} after {last:?}"))?;
            last = Some(tick.until);
        }
        let holds = last <= scheduled.decided_until && scheduled.may_be_next(scheduled.next);
        ensure(holds, "what is decided is never next again", || format!("{name}: {scheduled:?}"))?;
        ensure(!scheduled.is_paused() || scheduled.next.is_none(), "a paused schedule waits", || name.to_string())?;
    }
    Ok(())
}

/// What is buffered waits for something, and what names a schedule's run is right.
fn schedules_wait_for_runs(state: &State) -> Result<(), Violation> {
    for (name, scheduled) in &state.schedules {
        let holds = scheduled.buffered.is_none() || !scheduled.active.is_empty();
        ensure(holds, "a buffered run waits for another", || name.to_string())?;
    }
    for run in state.origins.keys() {
        ensure(state.runs.contains_key(run), "origins are of runs", || run.to_string())?;
    }
    for (id, backfill) in &state.backfills {
        let holds = !backfill.has_ended() || backfill.next.is_none();
        ensure(holds, "a backfill that has ended begins nothing", || format!("{id}: {backfill:?}"))?;
    }
    Ok(())
}

/// Everything derived equals what a rebuild derives, except that ready tasks may be set aside while their relation is busy.
/// Notices go over channels that exist, and nothing is remembered of runs and schedules that are forgotten.
fn alerts_follow(state: &State) -> Result<(), Violation> {
    let alerts = &state.alerts;
    let stray = alerts.notices.values().find(|notice| !alerts.channels.contains_key(&notice.channel));
    ensure(stray.is_none(), "a notice goes over a channel", || format!("{stray:?}"))?;
    let forgotten = alerts.told.keys().find(|run| !state.runs.contains_key(run));
    ensure(forgotten.is_none(), "what was told is of a run", || format!("{forgotten:?}"))?;
    let mut watched =
        alerts.deadlines.keys().map(|(schedule, _)| schedule).chain(state.arrivals.keys()).chain(state.gates.keys());
    let gone = watched.find(|schedule| !state.schedules.contains_key(*schedule));
    ensure(gone.is_none(), "what is waited for is of a schedule", || format!("{gone:?}"))?;
    let mut fresh = alerts.clone();
    fresh.index();
    ensure(fresh.by_deadline == alerts.by_deadline, "deadlines are by time", || format!("{:?}", alerts.by_deadline))
}

fn indexes_follow(state: &State) -> Result<(), Violation> {
    let mut fresh = state.clone();
    fresh.restore();
    for (relation, waiting) in state.index.held.clone() {
        let busy = state.index.busy.contains_key(&relation);
        ensure(busy, "only a busy relation holds tasks back", || relation.to_string())?;
        for (id, index) in waiting {
            let Some(run) = fresh.runs.get_mut(&id) else { continue };
            let task = &run.tasks[index as usize];
            let was_ready = run.derived.ready.remove(task.pool_set, task.priority, index);
            ensure(was_ready, "only ready tasks are held back", || format!("{} of {id}", task.node))?;
            fresh.index.hold(&relation, id, index);
            if run.derived.ready.is_empty() {
                fresh.index.runnable.remove(&(run.sequence, id));
            }
        }
    }
    ensure(fresh.index == state.index, "indexes follow from the state", || {
        format!("kept {:?}, derived {:?}", state.index, fresh.index)
    })?;
    ensure(
        fresh.schedules == state.schedules && fresh.backfills == state.backfills,
        "what schedules run follows",
        || format!("kept {:?}, derived {:?}", state.schedules, fresh.schedules),
    )?;
    ensure(fresh.projects == state.projects, "what is known of projects follows", || {
        format!("kept {:?}, derived {:?}", state.projects, fresh.projects)
    })?;
    ensure(fresh.runs == state.runs, "derived fields follow from the state", || {
        format!("kept {:?}, derived {:?}", state.runs, fresh.runs)
    })
}

/// No slot is free while a task could take it.
fn no_slot_is_idle(state: &State) -> Result<(), Violation> {
    let mut later = state.clone();
    let mut entry = Entry { epoch: Epoch(state.applied + 1), at: Timestamp::default(), events: Vec::new() };
    later.assign(&mut entry);
    ensure(entry.events.is_empty(), "no slot is idle", || format!("could still do {:?}", entry.events))
}

/// Follows one state from command to command.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    applied: u64,
    tasks: BTreeMap<(RunId, NodeId), (Epoch, bool)>,
    workers: BTreeMap<WorkerId, usize>,
    pools: BTreeMap<String, u32>,
    schedules: BTreeMap<ScheduleName, (Timestamp, Option<Timestamp>)>,
}

impl Watch {
    /// Compares with what was observed last.
    pub fn observe(&mut self, state: &State) -> Result<(), Violation> {
        let (before, applied) = (self.applied, state.applied);
        ensure(before <= applied, "entries apply in order", || format!("{applied} after {before}"))?;
        self.applied = applied;
        self.tasks.retain(|(run, _), _| state.runs.contains_key(run));
        for run in state.runs.values() {
            for task in &run.tasks {
                let now = (task.epoch, task.state == TaskState::Success);
                let Some(before) = self.tasks.insert((run.id, task.node.clone()), now) else { continue };
                let detail = || format!("{} of {}: {before:?}, then {:?}", task.node, run.id, task.state);
                ensure(before.0 <= now.0, "epochs grow", detail)?;
                ensure(!before.1 || before == now || is_hook(&task.node), "success is never left", detail)?;
            }
        }
        self.workers.retain(|worker, _| state.workers.contains_key(worker));
        for (id, worker) in &state.workers {
            let before = self.workers.insert(id.clone(), worker.running.len()).unwrap_or(0);
            let holds = worker.running.len() <= (worker.slots as usize).max(before);
            ensure(holds, "workers get no more than they have slots for", || format!("{id}: {worker:?}"))?;
        }
        self.observe_schedules(state)?;
        self.observe_pools(state)
    }

    /// What was decided stays decided.
    fn observe_schedules(&mut self, state: &State) -> Result<(), Violation> {
        for (name, scheduled) in &state.schedules {
            let now = (scheduled.created_at, scheduled.decided_until);
            let before = self.schedules.insert(name.clone(), now).filter(|before| before.0 == now.0);
            ensure(before.is_none_or(|before| before.1 <= now.1), "ticks are decided in order", || name.to_string())?;
        }
        Ok(())
    }

    /// A pool is not filled beyond its limit; it may be fuller where an operator lowered that.
    fn observe_pools(&mut self, state: &State) -> Result<(), Violation> {
        let mut pools: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for run in state.runs.values() {
            for task in run.tasks.iter().filter(|task| matches!(task.state, TaskState::Running { .. })) {
                for &pool in &run.pool_sets[task.pool_set as usize] {
                    let (name, places) = &run.pools[pool as usize];
                    let (taken, limit) = pools.entry(name).or_default();
                    (*taken, *limit) = (*taken + 1, (*limit).max(*state.pools.get(name).unwrap_or(places)));
                }
            }
        }
        for (pool, &(taken, limit)) in &pools {
            let before = self.pools.get(*pool).copied().unwrap_or(0);
            ensure(taken <= limit.max(before), "pools have limits", || {
                format!("{taken} tasks in the {limit} places of '{pool}'")
            })?;
        }
        self.pools = pools.into_iter().map(|(pool, (taken, _))| (pool.to_owned(), taken)).collect();
        Ok(())
    }

    /// Notices that an attempt begins under an epoch that its task had before.
    pub fn assigned(&mut self, run: RunId, node: &NodeId, epoch: Epoch) -> Result<(), Violation> {
        let before = self.tasks.get(&(run, node.clone())).map(|(epoch, _)| *epoch);
        ensure(before.is_none_or(|before| before < epoch), "epochs strictly grow", || {
            format!("{node} of {run}: {epoch} after {before:?}")
        })
    }
}
