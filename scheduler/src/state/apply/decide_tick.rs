//! A tick is decided, once. Where it has a run, that begins in this same entry: there is no moment at which one is there without the
//! other.

use std::sync::Arc;

use common::schedule::{Decision, Overlap};
use common::{RunId, Timestamp};

use super::{steer_backfill, submit_run};
use crate::state::command::{TickDecision, TickProposal};
use crate::state::schedules::{BackfillState, Buffered, Origin, REASON_MAX, Series, Tick};
use crate::state::{CancelCause, Entry, Event, Rejection, Reply, RunOutcome, State, StopCause, Submission};

pub(super) fn apply(state: &mut State, entry: &mut Entry, tick: TickDecision) -> Result<Reply, Rejection> {
    // A trigger that comes again has its run.
    if let (Series::Manual, TickProposal::Run(submission)) = (tick.series, &tick.proposal)
        && let Some(&run) = state.requests.get(&submission.plan.request)
    {
        return Ok(Reply::Decided(Decision::Started { run }));
    }
    check(state, &tick)?;
    advance(state, &tick);
    let TickDecision { schedule, series, scheduled_at, decided_at, proposal, .. } = tick;
    let origin = Origin { schedule, series, scheduled_at };
    let (decision, until, count) = match proposal {
        TickProposal::Run(submission) => (begin(state, entry, &origin, *submission), scheduled_at, 1),
        TickProposal::Missed { until, count, reason } => (Decision::Missed { reason }, until.max(scheduled_at), count),
        TickProposal::Failed { mut reason } => {
            reason.truncate(reason.floor_char_boundary(REASON_MAX));
            (Decision::Failed { reason }, scheduled_at, 1)
        }
    };
    let tick = Tick { series, scheduled_at, until, count, decided_at, decision: decision.clone(), outcome: None };
    state.digest.mix(&[scheduled_at.as_micros() as u64, until.as_micros() as u64, count]);
    entry.events.push(Event::TickDecided { schedule: origin.schedule.clone(), tick: Arc::new(tick.clone()) });
    record(state, &origin, tick);
    if origin.series == Series::Calendar {
        // What it follows may have arrived again while this tick was waiting.
        state.follow(&origin.schedule, entry.at);
    }
    if let Decision::Started { run } = decision {
        // A plan of nothing has finished before its tick is recorded.
        state.finish_origin(entry, run);
    }
    if let Series::Backfill(id) = series {
        steer_backfill::end_if_done(state, entry, id);
    }
    Ok(Reply::Decided(decision))
}

/// Whether this is the tick that is next.
fn check(state: &State, tick: &TickDecision) -> Result<(), Rejection> {
    let decided = || Rejection::TickDecided { schedule: tick.schedule.clone(), scheduled_at: tick.scheduled_at };
    let scheduled =
        state.schedules.get(&tick.schedule).ok_or_else(|| Rejection::UnknownSchedule(tick.schedule.clone()))?;
    match tick.series {
        Series::Calendar => {
            let is_next = scheduled.next.is_some_and(|next| next.scheduled_at == tick.scheduled_at);
            if scheduled.version != tick.version || !is_next {
                return Err(decided());
            }
            if scheduled.next.is_some_and(|next| tick.decided_at < next.due_at) {
                return Err(Rejection::TickTooEarly {
                    schedule: tick.schedule.clone(),
                    scheduled_at: tick.scheduled_at,
                });
            }
        }
        Series::Manual if scheduled.version != tick.version => return Err(decided()),
        Series::Manual => {}
        Series::Backfill(id) => {
            let backfill = state.backfills.get(&id).ok_or(Rejection::UnknownBackfill(id))?;
            if backfill.due() != Some(tick.scheduled_at) || backfill.declared.name != tick.schedule {
                return Err(decided());
            }
        }
    }
    let goes_on = tick.next.is_none_or(|next| next.scheduled_at > last(tick));
    if tick.series == Series::Calendar && !goes_on { Err(decided()) } else { Ok(()) }
}

/// The last tick that the decision is about.
fn last(tick: &TickDecision) -> Timestamp {
    match tick.proposal {
        TickProposal::Missed { until, .. } => until.max(tick.scheduled_at),
        TickProposal::Run(_) | TickProposal::Failed { .. } => tick.scheduled_at,
    }
}

/// The following tick is next.
fn advance(state: &mut State, tick: &TickDecision) {
    match tick.series {
        Series::Calendar => {
            if let Some(mut scheduled) = state.leave_schedule(&tick.schedule) {
                scheduled.next = tick.next;
                state.enter_schedule(&tick.schedule, scheduled);
            }
        }
        Series::Manual => {}
        Series::Backfill(id) => {
            if let Some(backfill) = state.backfills.get_mut(&id) {
                backfill.next = tick.next.map(|next| next.scheduled_at);
            }
        }
    }
}

fn record(state: &mut State, origin: &Origin, tick: Tick) {
    if let Series::Backfill(id) = origin.series {
        if let Some(backfill) = state.backfills.get_mut(&id) {
            backfill.ticks.push(tick);
        }
    } else if let Some(scheduled) = state.schedules.get_mut(&origin.schedule) {
        scheduled.record(tick);
    }
}

/// What becomes of a run that is due, given those of the same schedule that have not finished.
fn begin(state: &mut State, entry: &mut Entry, origin: &Origin, submission: Submission) -> Decision {
    if origin.series == Series::Calendar
        && let Some(scheduled) = state.schedules.get(&origin.schedule)
        && let Some(&running) = scheduled.active.last()
    {
        match scheduled.declared.overlap {
            Overlap::AllowAll => {}
            Overlap::BufferOne if scheduled.buffered.is_none() => return buffer(state, origin, submission),
            Overlap::Skip | Overlap::BufferOne => return Decision::Skipped { running },
            Overlap::CancelOther => {
                let others: Vec<RunId> = scheduled.active.iter().copied().collect();
                for other in others {
                    supersede(state, entry, other);
                }
            }
        }
    }
    start(state, entry, origin, submission)
}

fn buffer(state: &mut State, origin: &Origin, submission: Submission) -> Decision {
    if let Some(deployed) = &submission.deployed
        && let Err(rejection) = state.projects.retain(&deployed.bundle)
    {
        return Decision::Failed { reason: rejection.to_string() };
    }
    if let Some(scheduled) = state.schedules.get_mut(&origin.schedule) {
        scheduled.buffered = Some(Box::new(Buffered { scheduled_at: origin.scheduled_at, submission }));
    }
    Decision::Buffered
}

/// Begins the run of a tick; a plan that is refused is a decision, too.
fn start(state: &mut State, entry: &mut Entry, origin: &Origin, submission: Submission) -> Decision {
    match submit_run::begin(state, entry, submission, Some(origin)) {
        Ok((run, _)) => Decision::Started { run },
        Err(rejection) => Decision::Failed { reason: rejection.to_string() },
    }
}

fn supersede(state: &mut State, entry: &mut Entry, run: RunId) {
    if state.runs.get(&run).is_some_and(|run| !run.is_finished()) {
        state.stop_run(entry, run, StopCause::Canceled(CancelCause::Superseded));
        state.finish_run(entry, run);
    }
}

impl State {
    /// A run of a schedule has finished: its tick says how, and what waited for it begins.
    pub(super) fn finish_origin(&mut self, entry: &mut Entry, run: RunId) {
        let Some(crate::state::RunState::Finished { outcome, .. }) = self.runs.get(&run).map(|run| run.state) else {
            return;
        };
        let Some(origin) = self.origins.get(&run).cloned() else { return };
        let is_of = |tick: &&mut Tick| tick.decision == Decision::Started { run };
        if let Series::Backfill(id) = origin.series {
            if let Some(backfill) = self.backfills.get_mut(&id) {
                backfill.active.remove(&run);
                if let Some(tick) = backfill.ticks.iter_mut().rev().find(is_of) {
                    tick.outcome = Some(outcome);
                }
                if backfill.state != BackfillState::Paused {
                    steer_backfill::end_if_done(self, entry, id);
                }
            }
            return;
        }
        let Some(scheduled) = self.schedules.get_mut(&origin.schedule) else { return };
        scheduled.active.remove(&run);
        if let Some(tick) = scheduled.ticks.iter_mut().rev().find(is_of) {
            tick.outcome = Some(outcome);
        }
        if outcome == RunOutcome::Success {
            self.arrive(entry, &origin);
        }
        let Some(scheduled) = self.schedules.get_mut(&origin.schedule) else { return };
        if scheduled.active.is_empty() {
            self.begin_buffered(entry, origin);
        }
    }

    fn begin_buffered(&mut self, entry: &mut Entry, finished: Origin) {
        let Some(scheduled) = self.schedules.get_mut(&finished.schedule) else { return };
        let Some(buffered) = scheduled.buffered.take() else { return };
        let Buffered { scheduled_at, submission } = *buffered;
        let origin = Origin { series: Series::Calendar, scheduled_at, ..finished };
        let held = submission.deployed.as_ref().map(|deployed| deployed.bundle);
        let decision = start(self, entry, &origin, submission);
        if let Some(bundle) = held {
            self.projects.release(&bundle, entry.at);
        }
        let Some(scheduled) = self.schedules.get_mut(&origin.schedule) else { return };
        if let Some(tick) = scheduled.tick_of(Series::Calendar, scheduled_at) {
            tick.decision = decision.clone();
            entry.events.push(Event::TickDecided { schedule: origin.schedule.clone(), tick: Arc::new(tick.clone()) });
        }
        if let Decision::Started { run } = decision {
            self.finish_origin(entry, run);
        }
    }

    /// What waits for the end of other runs never begins.
    pub(super) fn withdraw(&mut self, scheduled: &mut crate::state::Scheduled, entry: &Entry) {
        let withdrawn = scheduled.withdraw().and_then(|buffered| buffered.submission.deployed);
        if let Some(deployed) = withdrawn {
            self.projects.release(&deployed.bundle, entry.at);
        }
    }
}
