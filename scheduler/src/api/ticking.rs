//! While this replica leads: decides ticks when they are due.
//!
//! ```text
//!   soon due ──▶ prepare (parse, plan) ──▶ wait ──▶ due ──▶ DecideTick ──▶ the state says what is next
//! ```
//!
//! Invariants:
//! - Nothing is remembered that a new leader would miss. What was prepared is a cache; what is next is in the state.
//! - A schedule that cannot be planned says so on its tick and holds up no other.
//! - Deciding a tick whose outcome is not known again is safe: the state takes only the tick that is next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::microbatch::EventTime;
use common::run::Verb;
use common::schedule::{Decision, Schedule, SourceGate, Upcoming};
use common::{RequestId, ScheduleName, Timestamp};
use proto::run::Submit;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tonic::{Code, Status};

use super::planner::{Planned, Planner};
use super::planning;
use crate::leader::Proposal;
use crate::local::clock;
use crate::metrics;
use crate::replica::{Consistency, Handle};
use crate::schedules::Ticks;
use crate::schedules::due::{Due, Fate, due};
use crate::schedules::vars::{self, TickTimes};
use crate::state::command::{TickDecision, TickProposal};
use crate::state::schedules::{Order, Series};
use crate::state::{BackfillId, Command, Reply, RunOutcome, RunState, Submission};

/// The clock and the state are looked at so often, and when a tick is known to be due.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Between two looks, however much happens.
const LOOK_MIN: Duration = Duration::from_millis(2);
/// Ticks are prepared so long before they are due.
const AHEAD: Duration = Duration::from_secs(20);
/// Schedules and backfills that are looked at in one round, of those that are due or soon due.
const ROUND_MAX: usize = 2_000;
/// Ticks that are decided, and runs that are planned, at once.
const DECIDED_AT_ONCE: usize = 512;
const PLANNED_AT_ONCE: usize = 2;
/// Tasks of runs that are prepared.
const PREPARED_TASKS_MAX: usize = 500_000;
/// What this replica cannot do now it tries again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Ends what it began when it is dropped.
pub struct Ticking(AbortHandle);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn spawn(handle: Handle, planner: Arc<Planner>) -> Ticking {
    let ticking = Arc::new(Clockwork {
        handle,
        planner,
        busy: Mutex::default(),
        prepared: Mutex::default(),
        calendars: Mutex::default(),
        changed: Notify::new(),
        deciding: Semaphore::new(DECIDED_AT_ONCE),
        planning: Semaphore::new(PLANNED_AT_ONCE),
    });
    Ticking(tokio::spawn(ticking.run()).abort_handle())
}

struct Clockwork {
    handle: Handle,
    planner: Arc<Planner>,
    /// What is being decided or prepared.
    busy: Mutex<HashSet<Subject>>,
    prepared: Mutex<HashMap<ScheduleName, Prepared>>,
    /// By the version that they are of.
    calendars: Mutex<HashMap<ScheduleName, (u64, Arc<Ticks>)>>,
    /// Something that was busy is not any more.
    changed: Notify,
    deciding: Semaphore,
    planning: Semaphore,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Schedule(ScheduleName),
    Backfill(BackfillId),
}

/// What somebody is busy with, until this is dropped: also by a panic.
struct Busy {
    clockwork: Arc<Clockwork>,
    subject: Subject,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.clockwork.busy).remove(&self.subject);
        self.clockwork.changed.notify_one();
    }
}

/// The run of a tick to come.
struct Prepared {
    version: u64,
    scheduled_at: Timestamp,
    submission: Submission,
}

/// A schedule with a tick that is due, or soon will be.
#[derive(Clone)]
struct Job {
    subject: Subject,
    declared: Arc<Schedule>,
    version: u64,
    next: Upcoming,
    /// The tick that was decided before.
    previous: Option<Timestamp>,
    gate: Option<SourceGate>,
    series: Series,
}

impl Clockwork {
    async fn run(self: Arc<Self>) {
        let mut leader = self.handle.leader();
        // Dropped with this future, and what it runs with it.
        let mut jobs = JoinSet::new();
        loop {
            while jobs.try_join_next().is_some() {}
            if !self.handle.is_leading() {
                // Another leader's decisions make what was prepared here worthless.
                lock(&self.prepared).clear();
                tokio::select! {
                    changed = leader.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(LOOK_MAX) => {}
                }
                continue;
            }
            let wait = self.round(&mut jobs).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => tokio::time::sleep(LOOK_MIN).await,
            }
        }
    }

    /// Begins what there is to do; says how long there is nothing.
    async fn round(self: &Arc<Self>, jobs: &mut JoinSet<()>) -> Duration {
        let now = clock::now();
        let horizon = now.plus(AHEAD);
        let found = self.handle.read(Consistency::Stale, |state| {
            // What cannot be decided now stays busy for a while, and does not stand in front of the others.
            let busy = lock(&self.busy);
            let is_free = |job: &Job| !busy.contains(&job.subject);
            let scheduled = state.due(horizon).filter_map(|(_, scheduled)| {
                Some(Job {
                    subject: Subject::Schedule(scheduled.declared.name.clone()),
                    declared: scheduled.declared.clone(),
                    version: scheduled.version,
                    next: scheduled.next?,
                    previous: scheduled.decided_until,
                    gate: state.gate(&scheduled.declared.name).cloned(),
                    series: Series::Calendar,
                })
            });
            let backfills = state.open_backfills().filter_map(|id| {
                let backfill = state.backfill(&id)?;
                let scheduled_at = backfill.due()?;
                Some(Job {
                    subject: Subject::Backfill(id),
                    declared: backfill.declared.clone(),
                    version: 0,
                    next: Upcoming { scheduled_at, due_at: scheduled_at },
                    previous: None,
                    gate: None,
                    series: Series::Backfill(id),
                })
            });
            let scheduled = scheduled.filter(is_free).take(ROUND_MAX);
            scheduled.chain(backfills.filter(is_free).take(ROUND_MAX)).collect::<Vec<_>>()
        });
        let Ok(found) = found.await else { return LOOK_MAX };
        let tasks = |prepared: &Prepared| prepared.submission.plan.tasks.len() + 1;
        let has_room = lock(&self.prepared).values().map(tasks).sum::<usize>() < PREPARED_TASKS_MAX;
        let first = found.iter().map(|job| job.next.due_at).filter(|due_at| *due_at > now).min();
        for job in found {
            let is_due = job.next.due_at <= now;
            let begins = is_due || (has_room && !self.is_prepared(&job));
            if !begins || !lock(&self.busy).insert(job.subject.clone()) {
                continue;
            }
            let busy = Busy { clockwork: self.clone(), subject: job.subject.clone() };
            jobs.spawn(async move {
                if is_due {
                    busy.clockwork.decide(job).await;
                } else {
                    busy.clockwork.prepare(job).await;
                }
            });
        }
        first.map_or(LOOK_MAX, |due_at| due_at.since(clock::now())).min(LOOK_MAX)
    }

    /// Only a schedule's own ticks are prepared.
    fn take_prepared(&self, job: &Job) -> Option<Submission> {
        if job.series != Series::Calendar {
            return None;
        }
        let prepared = lock(&self.prepared).remove(&job.declared.name);
        prepared.filter(|prepared| prepared.is_of(job)).map(|prepared| prepared.submission)
    }

    fn is_prepared(&self, job: &Job) -> bool {
        lock(&self.prepared).get(&job.declared.name).is_some_and(|prepared| prepared.is_of(job))
    }

    /// Plans the run of a tick that is not due yet. What goes wrong is told when it is.
    async fn prepare(&self, job: Job) {
        let Some(ticks) = self.calendar(&job) else { return };
        let planned = self.plan(&job, &ticks).await;
        let (version, scheduled_at) = (job.version, job.next.scheduled_at);
        if let Ok(submission) = planned {
            lock(&self.prepared).insert(job.declared.name.clone(), Prepared { version, scheduled_at, submission });
        } else {
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn decide(&self, job: Job) {
        // The semaphore lives as long as this.
        let Ok(permit) = self.deciding.acquire().await else { return };
        let Some(decision) = self.decision(&job).await else {
            drop(permit);
            tokio::time::sleep(AGAIN).await;
            return;
        };
        let decided = self.handle.propose(Proposal::from(Command::DecideTick(Box::new(decision)))).await;
        drop(permit);
        let name = &job.declared.name;
        match decided {
            Ok(Reply::Decided(Decision::Failed { reason })) => {
                tracing::warn!(schedule = %name, scheduled_at = job.next.scheduled_at.to_iso(), reason, "a tick has no run");
            }
            Ok(Reply::Decided(decision)) => {
                // What waits for sources is not late.
                let is_timely = job.series == Series::Calendar && job.gate.is_none();
                if let (true, Decision::Started { .. }, Some(metrics)) = (is_timely, &decision, metrics::get()) {
                    metrics.tick_started(clock::now().since(job.next.due_at));
                }
                tracing::info!(schedule = %name, scheduled_at = job.next.scheduled_at.to_iso(), ?decision, "decided a tick");
            }
            // The schedule was changed, or another leader was faster: the next round sees how it is.
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(schedule = %name, %error, "a tick could not be decided");
                tokio::time::sleep(LOOK_MAX).await;
            }
        }
    }

    /// What to say about the tick; none where this replica cannot tell now.
    async fn decision(&self, job: &Job) -> Option<TickDecision> {
        let now = clock::now();
        let scheduled_at = job.next.scheduled_at;
        let said = |next: Option<Upcoming>, proposal: TickProposal| TickDecision {
            schedule: job.declared.name.clone(),
            version: job.version,
            series: job.series,
            scheduled_at,
            next,
            decided_at: now,
            proposal,
        };
        let Some(ticks) = self.calendar(job) else {
            // It was checked when it was declared. Another version of this program, which leads next, knows its time zone.
            tracing::warn!(schedule = %job.declared.name, "this version of the scheduler does not know the schedule's calendar");
            return None;
        };
        let next = match job.series {
            Series::Backfill(id) => self.next_of_backfill(id, &ticks, scheduled_at).await?,
            Series::Calendar | Series::Manual => match due(&ticks, &job.declared.catch_up, job.next, now)? {
                Due { fate: Fate::Missed { until, count, reason }, next, .. } => {
                    return Some(said(next, TickProposal::Missed { until, count, reason }));
                }
                Due { fate: Fate::Run, next, .. } => next,
            },
        };
        if let Some(gate) = &job.gate {
            match self.passes(job, gate, &ticks, now).await {
                Ok(true) => {}
                Ok(false) | Err(Refused::ForNow) => return None,
                Err(Refused::ForGood(reason)) => return Some(said(next, TickProposal::Failed { reason })),
            }
        }
        let current = self.current(job).await?;
        let prepared = self.take_prepared(job);
        let prepared = prepared.filter(|run| run.deployed.as_ref().map(|deployed| deployed.bundle) == current);
        let planned = match prepared {
            Some(submission) => Ok(submission),
            None => self.plan(job, &ticks).await,
        };
        match planned {
            Ok(submission) => Some(said(next, TickProposal::Run(Box::new(submission)))),
            Err(Refused::ForGood(reason)) => Some(said(next, TickProposal::Failed { reason })),
            Err(Refused::ForNow) => None,
        }
    }

    /// Whether the sources that the tick waits for are fresh. Time since it was due is cut into pieces, and in each a run looks at them,
    /// under an id that every leader gives it: so nothing has to be remembered here.
    async fn passes(&self, job: &Job, gate: &SourceGate, ticks: &Ticks, now: Timestamp) -> Result<bool, Refused> {
        let name = &job.declared.name;
        let micros = job.next.scheduled_at.as_micros();
        let piece = now.since(job.next.due_at).as_micros() / gate.every.as_micros().max(1);
        let request = |piece: u128| RequestId(format!("fresh/{name}/{micros}/{piece}").into());
        // The look before this one may still be under way.
        let earlier = piece.checked_sub(1).map(request);
        let looks: Vec<RequestId> = earlier.into_iter().chain([request(piece)]).collect();
        let states = self.handle.read(Consistency::Stale, |state| {
            let known = |request: &RequestId| state.run_of(request).and_then(|run| state.run(&run));
            looks.iter().map(|request| known(request).map(|run| run.state)).collect::<Vec<_>>()
        });
        let states = states.await.map_err(|_| Refused::ForNow)?;
        let is_fresh = |state: &RunState| matches!(state, RunState::Finished { outcome: RunOutcome::Success, .. });
        if states.iter().flatten().any(is_fresh) {
            return Ok(true);
        }
        let is_looked_at = states.iter().flatten().any(|state| !matches!(state, RunState::Finished { .. }));
        if is_looked_at || states.last().is_some_and(Option::is_some) {
            return Ok(false);
        }
        let mut look = (*job.declared).clone();
        look.run.options.verb = Verb::Freshness;
        look.run.select.clone_from(&gate.select);
        (look.run.exclude, look.run.selector) = (Vec::new(), None);
        (look.run.resource_types, look.run.exclude_resource_types) = (Vec::new(), Vec::new());
        let start = ticks.before(job.next.scheduled_at).or(job.previous);
        let times = Times { start, scheduled_at: job.next.scheduled_at, is_whole_interval: false };
        let submission = plan(&self.planner, &look, ticks, times, request(piece)).await?;
        if submission.plan.tasks.iter().all(|task| task.node.resource_type() != "source") {
            let selected = gate.select.join(" ");
            return Err(Refused::ForGood(format!("'{selected}' selects no source that has a 'freshness'")));
        }
        let submit = Command::SubmitRun(Box::new(submission));
        self.handle.propose(Proposal::from(submit)).await.map_err(|_| Refused::ForNow)?;
        tracing::info!(schedule = %name, "looks whether sources are fresh");
        Ok(false)
    }

    async fn next_of_backfill(&self, id: BackfillId, ticks: &Ticks, at: Timestamp) -> Option<Option<Upcoming>> {
        let known = self.handle.read(Consistency::Stale, |state| {
            state.backfill(&id).map(|backfill| (backfill.order, backfill.from, backfill.until))
        });
        let (order, from, until) = known.await.ok()??;
        let following = match order {
            Order::OldestFirst => ticks.after(at).filter(|tick| *tick <= until),
            Order::NewestFirst => ticks.before(at).filter(|tick| *tick >= from),
        };
        Some(following.map(|tick| Upcoming { scheduled_at: tick, due_at: tick }))
    }

    /// The bundle that the schedule runs now.
    async fn current(&self, job: &Job) -> Option<Option<common::ContentDigest>> {
        self.handle.read(Consistency::Stale, |state| planning::bundle(state, &job.declared.run)).await.ok()
    }

    async fn plan(&self, job: &Job, ticks: &Ticks) -> Result<Submission, Refused> {
        let Ok(_permit) = self.planning.acquire().await else { return Err(Refused::ForNow) };
        let series = match job.series {
            Series::Calendar | Series::Manual => String::new(),
            Series::Backfill(id) => format!("{id}/"),
        };
        let name = &job.declared.name;
        let micros = job.next.scheduled_at.as_micros();
        let request = RequestId(format!("tick/{series}{name}/{micros}").into());
        let scheduled_at = job.next.scheduled_at;
        // One that follows others has no calendar that knows the tick before.
        let start = ticks.before(scheduled_at).or(job.previous);
        let is_whole_interval = matches!(job.series, Series::Backfill(_));
        plan(&self.planner, &job.declared, ticks, Times { start, scheduled_at, is_whole_interval }, request).await
    }

    fn calendar(&self, job: &Job) -> Option<Arc<Ticks>> {
        let name = &job.declared.name;
        if matches!(job.series, Series::Backfill(_)) {
            return Ticks::new(name, &job.declared.calendar).ok().map(Arc::new);
        }
        if let Some((_, ticks)) = lock(&self.calendars).get(name).filter(|(version, _)| *version == job.version) {
            return Some(ticks.clone());
        }
        let ticks = Arc::new(Ticks::new(name, &job.declared.calendar).ok()?);
        let mut calendars = lock(&self.calendars);
        if calendars.len() >= crate::state::schedules::SCHEDULES_MAX {
            calendars.clear();
        }
        calendars.insert(name.clone(), (job.version, ticks.clone()));
        Some(ticks)
    }
}

impl Prepared {
    fn is_of(&self, job: &Job) -> bool {
        job.series == Series::Calendar && (self.version, self.scheduled_at) == (job.version, job.next.scheduled_at)
    }
}

/// Why a tick has no run.
pub enum Refused {
    /// Planning again would say the same.
    ForGood(String),
    /// This replica cannot tell now.
    ForNow,
}

/// The times that a tick is about.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Where the tick's data begin, if that is known.
    pub start: Option<Timestamp>,
    pub scheduled_at: Timestamp,
    /// Whether microbatch models build the tick's whole interval, as in a backfill. Otherwise they go back from the tick by their own
    /// `lookback`.
    pub is_whole_interval: bool,
}

impl Times {
    fn event_time(self) -> EventTime {
        EventTime { start: self.start.filter(|_| self.is_whole_interval), end: Some(self.scheduled_at) }
    }
}

/// The run of a tick: variables rendered, project parsed, nodes selected.
pub async fn plan(
    planner: &Planner,
    declared: &Schedule,
    ticks: &Ticks,
    times: Times,
    request: RequestId,
) -> Result<Submission, Refused> {
    let Times { start, scheduled_at, .. } = times;
    let mut run = declared.run.clone();
    if run.options.event_time == EventTime::default() {
        run.options.event_time = times.event_time();
    }
    if vars::are_templates(&run.options.vars) {
        let times = TickTimes {
            schedule: declared.name.clone(),
            zone: ticks.zone(),
            data_interval_start: start.unwrap_or(scheduled_at),
            scheduled_at,
        };
        let vars = run.options.vars.clone();
        let rendered = tokio::task::spawn_blocking(move || vars::render(&vars, &times)).await;
        let rendered =
            rendered.map_err(|_| Refused::ForGood("the variables could not be rendered: a defect".to_owned()))?;
        run.options.vars = rendered.map_err(Refused::ForGood)?;
    }
    match planner.plan_from_here(Submit { request, run, results: BTreeMap::new() }).await {
        Ok(Planned { submission, .. }) => Ok(submission),
        Err(status) if is_for_now(&status) => Err(Refused::ForNow),
        Err(status) => Err(Refused::ForGood(status.message().to_owned())),
    }
}

fn is_for_now(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Every change is whole before anything that could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
