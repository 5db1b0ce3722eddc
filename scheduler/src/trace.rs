//! Events as spans: a run, the attempts at its tasks, and how long each waited for a slot.
//!
//! ```text
//!   run ─┬─ model.p.a (attempt 1) ─┬─ queue
//!        │                         └─ execute … (recorded by the worker)
//!        └─ model.p.b (attempt 1) ── …                     links: the attempts at its upstreams, the attempt before
//! ```
//! Pure: events go in with the time at which they became true, finished spans come out. Only the leader follows and records; who takes
//! over reads in the journals of the runs what came before. Invariant: ids and times follow from the log alone, so a span that two
//! leaders record is the same span.

use std::collections::BTreeMap;
use std::time::Duration;

use common::task::{Assignment, FailureKind, TaskState};
use common::telemetry::{self, Context, Kind, Link, Span, SpanId, Status, TraceId, attribute};
use common::{Attempt, NodeId, RunId, Timestamp, WorkerId};

use crate::state::{Event, RunOutcome, RunState, State};

/// What of the runs under way spans will need.
#[derive(Debug, Default)]
pub struct Spans {
    runs: BTreeMap<RunId, Run>,
}

/// Maps are by the task's index in the run.
#[derive(Debug)]
struct Run {
    /// When the tasks without upstreams became ready.
    began_at: Timestamp,
    /// Of the retry that this round is; none in the first round.
    retried_at: Option<Timestamp>,
    attempts: BTreeMap<u32, Begun>,
    /// When each task that ended did, and the attempt it took.
    ended: BTreeMap<u32, (Timestamp, Attempt)>,
    /// When tasks that wait for another attempt may start.
    due: BTreeMap<u32, Timestamp>,
}

/// An attempt under way.
#[derive(Debug)]
struct Begun {
    worker: WorkerId,
    attempt: Attempt,
    epoch: i64,
    assigned_at: Timestamp,
    ready_at: Timestamp,
    links: Vec<Link>,
}

impl Run {
    fn new(began_at: Timestamp, retried_at: Option<Timestamp>) -> Self {
        let (attempts, ended, due) = Default::default();
        Self { began_at, retried_at, attempts, ended, due }
    }
}

/// A leader that died may have taken with it what it had not sent yet: spans that ended so shortly before are recorded again.
const UNSENT_MAX: Duration = Duration::from_secs(10);

impl Spans {
    /// Follows from `now` on, knowing what the journals of the state tell; gives the spans that may have been lost.
    pub fn resume(state: &State, now: Timestamp) -> (Self, Vec<Span>) {
        let mut spans = Self::default();
        let mut unsent = Vec::new();
        let is_recent = |at: Timestamp| at.plus(UNSENT_MAX) >= now;
        let runs = state.runs().filter(|run| match run.state {
            RunState::Finished { at, .. } => is_recent(at),
            RunState::Active | RunState::Stopping(_) => true,
        });
        for run in runs {
            for recorded in run.events(0) {
                let ended = spans.observe(state, recorded.at, &recorded.event);
                unsent.extend(ended.into_iter().filter(|span| is_recent(span.ended_at)));
            }
        }
        (spans, unsent)
    }

    /// Follows the event, and gives the spans that it ends. `state` is as of this event or later.
    pub fn observe(&mut self, state: &State, at: Timestamp, event: &Event) -> Vec<Span> {
        match event {
            Event::RunSubmitted { run } => {
                self.runs.insert(*run, Run::new(at, None));
                Vec::new()
            }
            Event::RunRetried { run, .. } => {
                self.runs.insert(*run, Run::new(at, Some(at)));
                Vec::new()
            }
            Event::TaskAssigned { task, worker, assignment } => {
                self.assigned(state, at, *task, worker, assignment);
                Vec::new()
            }
            Event::TaskUpForRetry { run, task, node, attempt, kind, due_at, .. } => {
                let spans = self.attempt_ended(at, *run, (*task, node), *attempt, Some(*kind));
                if let Some(run) = self.runs.get_mut(run) {
                    run.due.insert(*task, *due_at);
                }
                spans
            }
            Event::TaskFinished { run, task, node, attempt, state, .. } => {
                let failure = match state {
                    TaskState::Failed(kind) => Some(*kind),
                    TaskState::Canceled => Some(FailureKind::Canceled),
                    _ => None,
                };
                let spans = self.attempt_ended(at, *run, (*task, node), *attempt, failure);
                if let Some(run) = self.runs.get_mut(run) {
                    run.ended.insert(*task, (at, *attempt));
                }
                spans
            }
            Event::RunFinished { run, outcome, counts } => {
                let known = self.runs.remove(run);
                run_ended(state, at, *run, *outcome, i64::from(counts.total), known)
            }
            Event::RunRemoved { run } => {
                self.runs.remove(run);
                Vec::new()
            }
            Event::WorkerRegistered { .. }
            | Event::WorkerDraining { .. }
            | Event::WorkerLost { .. }
            | Event::RunStopping { .. }
            | Event::BlobsCollected { .. }
            | Event::TickDecided { .. }
            | Event::TranscriptsForgotten { .. }
            | Event::TranscriptKept { .. }
            | Event::TaskCancelRequested { .. } => Vec::new(),
        }
    }

    fn assigned(&mut self, state: &State, at: Timestamp, task: u32, worker: &WorkerId, assignment: &Assignment) {
        let Assignment { run: id, node, attempt, epoch, .. } = assignment;
        let Some(run) = self.runs.get_mut(id) else { return };
        let planned = state.run(id);
        let trace = TraceId::of_run(*id);
        let link = |node: &NodeId, attempt: Attempt, what| Link {
            to: Context { trace, span: SpanId::of_attempt(*id, node, attempt) },
            what,
        };
        let mut links = Vec::new();
        let mut ready_at = run.began_at;
        for index in planned.map_or(&[][..], |run| run.upstreams(task)) {
            let Some((ended_at, attempt)) = run.ended.get(index) else { continue };
            ready_at = ready_at.max(*ended_at);
            let upstream = planned.and_then(|run| run.tasks().get(*index as usize)).filter(|_| attempt.0 > 0);
            links.extend(upstream.map(|upstream| link(&upstream.node, *attempt, "upstream")));
        }
        if attempt.0 > 1 {
            links.push(link(node, Attempt(attempt.0 - 1), "previous attempt"));
        }
        ready_at = run.due.remove(&task).map_or(ready_at, |due_at| ready_at.max(due_at)).min(at);
        let epoch = i64::try_from(epoch.0).unwrap_or(i64::MAX);
        let begun = Begun { worker: worker.clone(), attempt: *attempt, epoch, assigned_at: at, ready_at, links };
        run.attempts.insert(task, begun);
    }

    fn attempt_ended(
        &mut self,
        at: Timestamp,
        id: RunId,
        (task, node): (u32, &NodeId),
        attempt: Attempt,
        failure: Option<FailureKind>,
    ) -> Vec<Span> {
        let begun = self.runs.get_mut(&id).and_then(|run| run.attempts.remove(&task));
        let Some(begun) = begun.filter(|begun| begun.attempt == attempt) else { return Vec::new() };
        let span_id = SpanId::of_attempt(id, node, attempt);
        let mut span = Span::of_run(id, span_id, node.to_string(), begun.ready_at, at)
            .with(attribute::TASK, node.to_string())
            .with(attribute::TASK_RUN, format!("{node}/{}", attempt.0))
            .with_some(attribute::TASK_TYPE, task_type(node))
            .with(attribute::TASK_RESULT, failure.map_or("success", result))
            .with(attribute::ATTEMPT, i64::from(attempt.0))
            .with(attribute::EPOCH, begun.epoch)
            .with(attribute::WORKER, begun.worker.to_string());
        span.links = begun.links;
        if let Some(kind) = failure {
            span.status = Status::Error(kind.as_str().to_owned());
            span = span.with(attribute::ERROR_TYPE, kind.as_str());
        }
        let queue =
            Span::of_run(id, span_id.child("queue", 0), "queue", begun.ready_at, begun.assigned_at).below(span_id);
        vec![queue, span]
    }
}

/// The root of the trace after the first round; a span below it after every later one.
fn run_ended(
    state: &State,
    at: Timestamp,
    id: RunId,
    outcome: RunOutcome,
    tasks: i64,
    known: Option<Run>,
) -> Vec<Span> {
    let Some(run) = state.run(&id) else { return Vec::new() };
    let verb = run.options.verb.as_str();
    // `model.<package>.<name>`: the package of the run's first node stands for its project.
    let project = run.tasks().first().and_then(|task| task.node.as_str().split('.').nth(1)).map(str::to_owned);
    let retried_at = known.and_then(|run| run.retried_at);
    let (span_id, name, began_at) = match retried_at {
        None => (SpanId::of_run(id), verb.to_owned(), run.submitted_at),
        Some(at) => (SpanId::of_run(id).child("retry", at.as_micros().unsigned_abs()), format!("retry {verb}"), at),
    };
    let name = project.as_ref().map_or(name.clone(), |project| format!("{name} {project}"));
    let mut span = Span::of_run(id, span_id, name, began_at, at)
        .with_some(attribute::PIPELINE, project)
        .with(attribute::RUN, id.to_string())
        .with(attribute::VERB, verb)
        .with(attribute::TASKS, tasks);
    span.kind = Kind::Server;
    let result = outcome.as_str();
    let caller = run.traceparent.as_deref().filter(|_| retried_at.is_none()).and_then(Context::parse);
    span.links.extend(caller.map(|to| Link { to, what: "caller" }));
    if outcome != RunOutcome::Success {
        span.status = Status::Error(result.to_owned());
        span = span.with(attribute::ERROR_TYPE, result);
    }
    vec![span.with(attribute::RESULT, result)]
}

/// An entry that was proposed at the first time and applied here at the second, on the disks of a majority.
pub fn committed(place: Context, parent: SpanId, index: u64, (proposed_at, applied_at): (Timestamp, Timestamp)) {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    let span = Span::new(place, "raft commit", proposed_at, applied_at).below(parent);
    telemetry::record(span.with(attribute::RAFT_INDEX, index));
}

/// The convention knows kinds of tasks of a pipeline: what builds and what tests.
fn task_type(node: &NodeId) -> Option<&'static str> {
    match node.resource_type() {
        "model" | "seed" | "snapshot" => Some("build"),
        "test" | "unit_test" => Some("test"),
        _ => None,
    }
}

fn result(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::User | FailureKind::TestFailed => "failure",
        FailureKind::Timeout => "timeout",
        FailureKind::Canceled => "cancellation",
        FailureKind::Transient | FailureKind::System | FailureKind::WorkerLost | FailureKind::Fenced => "error",
    }
}
