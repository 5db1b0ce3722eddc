//! Schedules, their ticks and backfills as clients see them. Called under the state's lock, so nothing here takes longer than what it shows.

use common::schedule::{Decision, SourceGate, Upcoming};
use proto::scalar::timestamp;
use proto::schedule::{Wanted, decision, schedule};
use proto::v1::{self, applied_schedule::Action};

use super::view::outcome_state;
use crate::state::schedules::{BackfillState, Order, Series};
use crate::state::{Backfill, BackfillId, RunOutcome, Scheduled, Tick};

pub fn status(scheduled: &Scheduled, gate: Option<&SourceGate>) -> v1::ScheduleStatus {
    v1::ScheduleStatus {
        schedule: Some(schedule(&scheduled.declared, Some(scheduled.is_paused()), gate)),
        version: scheduled.version,
        created_at: Some(timestamp(scheduled.created_at)),
        changed_at: Some(timestamp(scheduled.changed_at)),
        paused_at: scheduled.paused_at.map(timestamp),
        next_at: scheduled.next.map(|next| timestamp(next.scheduled_at)),
        next_due_at: scheduled.next.map(|next| timestamp(next.due_at)),
        active_run_ids: scheduled.active().map(|run| run.to_string()).collect(),
        buffered_at: scheduled.buffered().map(timestamp),
        last_tick: scheduled.ticks().next_back().map(tick),
    }
}

pub fn tick(tick: &Tick) -> v1::Tick {
    let run_state = match (&tick.decision, tick.outcome) {
        (_, Some(outcome)) => outcome_state(outcome),
        (Decision::Started { .. }, None) => v1::RunState::Active,
        _ => v1::RunState::Unspecified,
    };
    let series = match tick.series {
        Series::Calendar => "calendar",
        Series::Manual => "manual",
        Series::Backfill(_) => "backfill",
    };
    v1::Tick {
        scheduled_at: Some(timestamp(tick.scheduled_at)),
        until: Some(timestamp(tick.until)),
        count: tick.count,
        decided_at: Some(timestamp(tick.decided_at)),
        run_state: run_state.into(),
        series: series.to_owned(),
        ..decision(&tick.decision)
    }
}

/// What declaring a schedule does, or would do.
pub fn applied(
    (known, known_gate): (Option<&Scheduled>, Option<&SourceGate>),
    Wanted { declared, paused, gate }: &Wanted,
    next: Option<Upcoming>,
) -> v1::AppliedSchedule {
    let was_paused = known.is_some_and(Scheduled::is_paused);
    let is_paused = paused.unwrap_or(was_paused);
    let (before, after) = (
        known.map(|known| schedule(&known.declared, Some(was_paused), known_gate)),
        schedule(declared, Some(is_paused), gate.as_ref()),
    );
    let action = match &before {
        None => Action::Created,
        Some(before) if *before == after => Action::Unchanged,
        Some(_) => Action::Changed,
    };
    let keeps = known.filter(|known| known.declared.calendar == declared.calendar && was_paused == is_paused);
    let next = keeps.map_or(next, |known| known.next).filter(|_| !is_paused);
    v1::AppliedSchedule {
        name: declared.name.to_string(),
        action: action.into(),
        before,
        after: Some(after),
        next_at: next.map(|next| timestamp(next.scheduled_at)),
    }
}

pub fn backfill(id: BackfillId, backfill: &Backfill) -> v1::Backfill {
    let state = match backfill.state {
        BackfillState::Active => v1::BackfillState::Active,
        BackfillState::Paused => v1::BackfillState::Paused,
        BackfillState::Canceled { .. } => v1::BackfillState::Canceled,
        BackfillState::Finished { .. } => v1::BackfillState::Finished,
    };
    let order = match backfill.order {
        Order::OldestFirst => v1::BackfillOrder::OldestFirst,
        Order::NewestFirst => v1::BackfillOrder::NewestFirst,
    };
    let succeeded = backfill.ticks().filter(|tick| tick.outcome == Some(RunOutcome::Success)).count() as u64;
    let running = backfill.active().len() as u64;
    let decided = backfill.ticks().len() as u64;
    v1::Backfill {
        backfill_id: id.0,
        schedule: backfill.declared.name.to_string(),
        state: state.into(),
        first: Some(timestamp(backfill.from)),
        last: Some(timestamp(backfill.until)),
        parallel: backfill.parallel,
        order: order.into(),
        total: backfill.total,
        decided,
        running,
        succeeded,
        failed: decided.saturating_sub(succeeded + running),
        started_at: Some(timestamp(backfill.started_at)),
    }
}
