//! Schedules are declared, or declared otherwise. What is not changed stays as it is; a change never makes a tick of the past due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use common::schedule::{Decision, MissReason, Schedule, ScheduleName, SourceGate};

use crate::state::command::PutSchedule;
use crate::state::schedules::{PUT_MAX, SCHEDULES_MAX, Series, Tick};
use crate::state::{Entry, Rejection, Reply, Scheduled, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, puts: Vec<PutSchedule>) -> Result<Reply, Rejection> {
    check(state, entry, &puts)?;
    let mut changed = 0;
    for put in puts {
        changed += u32::from(put_one(state, entry, put)?);
    }
    Ok(Reply::Put { changed })
}

/// With what each of them waits for from now on.
pub(super) fn declare(
    state: &mut State,
    entry: &mut Entry,
    puts: Vec<PutSchedule>,
    mut gates: BTreeMap<ScheduleName, SourceGate>,
) -> Result<Reply, Rejection> {
    check(state, entry, &puts)?;
    let mut changed = 0;
    for put in puts {
        let name = put.declared.name.clone();
        let gate = gates.remove(&name);
        let is_other_gate = state.gates.get(&name) != gate.as_ref();
        let is_changed = put_one(state, entry, put)?;
        changed += u32::from(is_changed || is_other_gate);
        match gate {
            Some(gate) => drop(state.gates.insert(name, gate)),
            None => drop(state.gates.remove(&name)),
        }
    }
    Ok(Reply::Put { changed })
}

/// All or none: whatever could be refused is, before anything changes.
fn check(state: &State, entry: &Entry, puts: &[PutSchedule]) -> Result<(), Rejection> {
    let names: BTreeSet<_> = puts.iter().map(|put| &put.declared.name).collect();
    let new = names.iter().filter(|name| !state.schedules.contains_key(*name)).count();
    if puts.len() > PUT_MAX || names.len() < puts.len() || state.schedules.len() + new > SCHEDULES_MAX {
        return Err(Rejection::TooManySchedules { max: SCHEDULES_MAX as u32, at_once: PUT_MAX as u32 });
    }
    let known = |put: &PutSchedule| state.schedules.get(&put.declared.name).map(|known| (known, put.next));
    if let Some((known, next)) = puts.iter().filter_map(known).find(|(known, next)| !known.may_be_next(*next)) {
        let scheduled_at = next.map_or(entry.at, |next| next.scheduled_at);
        return Err(Rejection::TickDecided { schedule: known.declared.name.clone(), scheduled_at });
    }
    let bundles = puts.iter().filter_map(|put| put.declared.run.bundle);
    match bundles.into_iter().find(|bundle| state.projects.bundle(bundle).is_none()) {
        Some(unknown) => Err(Rejection::UnknownBundle(unknown)),
        None => Ok(()),
    }
}

fn put_one(state: &mut State, entry: &mut Entry, put: PutSchedule) -> Result<bool, Rejection> {
    let PutSchedule { declared, next, paused } = put;
    let name = declared.name.clone();
    let Some(known) = state.schedules.get(&name) else {
        hold(state, &declared)?;
        let paused_at = (paused == Some(true)).then_some(entry.at);
        let scheduled = Scheduled {
            declared: Arc::new(declared),
            version: entry.epoch.0,
            created_at: entry.at,
            changed_at: entry.at,
            paused_at,
            next: next.filter(|_| paused_at.is_none()),
            decided_until: None,
            buffered: None,
            ticks: VecDeque::new(),
            active: BTreeSet::new(),
        };
        state.enter_schedule(&name, scheduled);
        return Ok(true);
    };
    let is_same = *known.declared == declared;
    let pauses = paused.filter(|paused| *paused != known.is_paused());
    if is_same && pauses.is_none() {
        return Ok(false);
    }
    let Some(mut scheduled) = state.leave_schedule(&name) else { return Ok(false) };
    if !is_same {
        // The old one's bundle may be the new one's, too.
        if let Err(rejection) = hold(state, &declared) {
            state.enter_schedule(&name, scheduled);
            return Err(rejection);
        }
        release(state, entry, &scheduled.declared);
        state.withdraw(&mut scheduled, entry);
        if scheduled.declared.calendar != declared.calendar {
            // What the new calendar still has to decide is not missed.
            if scheduled.next.zip(next).is_some_and(|(old, new)| new.scheduled_at <= old.scheduled_at) {
                scheduled.next = None;
            }
            drop_next(&mut scheduled, entry, MissReason::Changed);
            scheduled.next = next.filter(|_| !scheduled.is_paused());
            state.arrivals.remove(&name);
        }
        scheduled.declared = Arc::new(declared);
        (scheduled.version, scheduled.changed_at) = (entry.epoch.0, entry.at);
    }
    match pauses {
        Some(true) => {
            state.withdraw(&mut scheduled, entry);
            drop_next(&mut scheduled, entry, MissReason::Paused);
            state.arrivals.remove(&name);
            scheduled.paused_at = Some(entry.at);
        }
        Some(false) => (scheduled.paused_at, scheduled.next) = (None, next),
        None => {}
    }
    state.enter_schedule(&name, scheduled);
    Ok(true)
}

/// The bundle that it names stays as long as it does.
pub(super) fn hold(state: &mut State, declared: &Schedule) -> Result<(), Rejection> {
    declared.run.bundle.iter().try_for_each(|bundle| state.projects.retain(bundle))
}

pub(super) fn release(state: &mut State, entry: &Entry, declared: &Schedule) {
    if let Some(bundle) = &declared.run.bundle {
        state.projects.release(bundle, entry.at);
    }
}

/// No tick is next any more. One that was due already is not forgotten.
pub(super) fn drop_next(scheduled: &mut Scheduled, entry: &Entry, reason: MissReason) {
    let Some(next) = scheduled.next.take() else { return };
    if next.due_at <= entry.at {
        scheduled.record(Tick {
            series: Series::Calendar,
            scheduled_at: next.scheduled_at,
            until: next.scheduled_at,
            count: 1,
            decided_at: entry.at,
            decision: Decision::Missed { reason },
            outcome: None,
        });
    }
}
