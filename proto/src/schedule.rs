//! Schedules as clients declare them and are shown them.

use std::time::Duration;

use common::Timestamp;
use common::run::RunRequest;
use common::schedule::{Calendar, CatchUp, CatchUpPolicy, Decision, Overlap, Schedule, ScheduleName, SourceGate};

use crate::description::{target, verb};
use crate::invalid::Invalid;
use crate::microbatch;
use crate::run::{retry, to_submit};
use crate::scalar::{duration, of_json, timestamp, to_duration, to_timestamp};
use crate::v1;

/// Longest cron expression or time zone, in bytes.
const TEXT_MAX: usize = 1_000;
const DEADLINE_MAX: Duration = Duration::from_secs(31 * 24 * 3_600);
/// Most criteria of sources that a schedule waits for.
const SELECT_MAX: usize = 100;
/// Most late ticks that a schedule may run.
const TICKS_MAX: u32 = 10_000;

pub fn to_name(field: &'static str, name: &str) -> Result<ScheduleName, Invalid> {
    let hint = "has to be of ASCII letters, digits, '-', '_' and '.', at most 128, the first no sign";
    ScheduleName::new(name).ok_or_else(|| Invalid::new(field, hint))
}

/// A schedule as somebody wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub declared: Schedule,
    /// None leaves it as it is.
    pub paused: Option<bool>,
    pub gate: Option<SourceGate>,
}

pub fn to_schedule(schedule: v1::Schedule) -> Result<Wanted, Invalid> {
    let name = to_name("name", &schedule.name)?;
    let deadline = schedule.deadline.map(|deadline| to_duration("deadline", deadline)).transpose()?;
    if deadline.is_some_and(|deadline| deadline.is_zero() || deadline > DEADLINE_MAX) {
        return Err(Invalid::new("deadline", "has to be more than nothing, and at most 31 days"));
    }
    if schedule.cron.len() > TEXT_MAX || schedule.time_zone.len() > TEXT_MAX {
        return Err(Invalid::new("cron", format!("is longer than {TEXT_MAX} bytes")));
    }
    let overlap = to_overlap(schedule.overlap());
    let at = |at: Option<prost_types::Timestamp>| at.map(|at| to_timestamp(Some(at)));
    let jitter = schedule.jitter.map(|jitter| to_duration("jitter", jitter)).transpose()?;
    let calendar = Calendar {
        cron: schedule.cron,
        time_zone: if schedule.time_zone.is_empty() { "UTC".to_owned() } else { schedule.time_zone },
        start_at: at(schedule.start_at),
        end_at: at(schedule.end_at),
        jitter: jitter.unwrap_or(Duration::ZERO),
    };
    let declared = Schedule {
        name,
        calendar,
        run: to_run(schedule.run.ok_or_else(|| Invalid::missing("run"))?)?,
        overlap,
        catch_up: to_catch_up(schedule.catch_up.unwrap_or_default())?,
        deadline,
    };
    let gate = schedule.wait_for_sources.map(to_gate).transpose()?;
    Ok(Wanted { declared, paused: schedule.paused, gate })
}

fn to_gate(gate: v1::SourceGate) -> Result<SourceGate, Invalid> {
    if gate.select.is_empty() || gate.select.len() > SELECT_MAX {
        return Err(Invalid::new("wait_for_sources.select", format!("has to have between 1 and {SELECT_MAX} entries")));
    }
    let every = gate.every.map(|every| to_duration("wait_for_sources.every", every)).transpose()?;
    let every = every.unwrap_or(SourceGate::EVERY);
    if every < SourceGate::EVERY_MIN {
        return Err(Invalid::new("wait_for_sources.every", "is less than a second"));
    }
    Ok(SourceGate { select: gate.select, every })
}

fn to_run(mut run: v1::SubmitRunRequest) -> Result<RunRequest, Invalid> {
    if !run.request_id.is_empty() {
        return Err(Invalid::new("run.request_id", "is chosen by the cluster, one for each tick"));
    }
    if !run.results.is_empty() {
        return Err(Invalid::new("run.results", "are of one run, which a schedule does not know"));
    }
    run.request_id = "schedule".to_owned();
    to_submit(run).map(|submit| submit.run)
}

fn to_overlap(overlap: v1::Overlap) -> Overlap {
    match overlap {
        v1::Overlap::Unspecified | v1::Overlap::Skip => Overlap::Skip,
        v1::Overlap::BufferOne => Overlap::BufferOne,
        v1::Overlap::AllowAll => Overlap::AllowAll,
        v1::Overlap::CancelOther => Overlap::CancelOther,
    }
}

fn to_catch_up(catch_up: v1::CatchUp) -> Result<CatchUp, Invalid> {
    let default = CatchUp::default();
    if catch_up.ticks_max > TICKS_MAX {
        return Err(Invalid::new("catch_up.ticks_max", format!("is more than {TICKS_MAX}")));
    }
    let window = catch_up.window.map(|window| to_duration("catch_up.window", window)).transpose()?;
    Ok(CatchUp {
        window: window.unwrap_or(default.window),
        policy: match catch_up.policy() {
            v1::CatchUpPolicy::Unspecified | v1::CatchUpPolicy::Latest => CatchUpPolicy::Latest,
            v1::CatchUpPolicy::All => CatchUpPolicy::All,
            v1::CatchUpPolicy::None => CatchUpPolicy::None,
        },
        ticks_max: if catch_up.ticks_max == 0 { default.ticks_max } else { catch_up.ticks_max },
    })
}

/// A schedule in full: nothing that has a default is left out.
pub fn schedule(declared: &Schedule, paused: Option<bool>, gate: Option<&SourceGate>) -> v1::Schedule {
    let Schedule { name, calendar, run, overlap, catch_up, deadline } = declared;
    let policy = match catch_up.policy {
        CatchUpPolicy::All => v1::CatchUpPolicy::All,
        CatchUpPolicy::Latest => v1::CatchUpPolicy::Latest,
        CatchUpPolicy::None => v1::CatchUpPolicy::None,
    };
    let overlap = match overlap {
        Overlap::Skip => v1::Overlap::Skip,
        Overlap::BufferOne => v1::Overlap::BufferOne,
        Overlap::AllowAll => v1::Overlap::AllowAll,
        Overlap::CancelOther => v1::Overlap::CancelOther,
    };
    v1::Schedule {
        name: name.to_string(),
        cron: calendar.cron.clone(),
        time_zone: calendar.time_zone.clone(),
        run: Some(request(run)),
        start_at: calendar.start_at.map(timestamp),
        end_at: calendar.end_at.map(timestamp),
        jitter: Some(calendar.jitter).filter(|jitter| !jitter.is_zero()).map(duration),
        overlap: overlap.into(),
        catch_up: Some(v1::CatchUp {
            window: Some(duration(catch_up.window)),
            policy: policy.into(),
            ticks_max: catch_up.ticks_max,
        }),
        deadline: deadline.map(duration),
        paused,
        wait_for_sources: gate
            .map(|gate| v1::SourceGate { select: gate.select.clone(), every: Some(duration(gate.every)) }),
    }
}

fn request(run: &RunRequest) -> v1::SubmitRunRequest {
    v1::SubmitRunRequest {
        request_id: String::new(),
        project: run.project.clone(),
        bundle_digest: run.bundle.map(|bundle| bundle.0.to_vec()).unwrap_or_default().into(),
        verb: verb(run.options.verb).into(),
        select: run.select.clone(),
        exclude: run.exclude.clone(),
        target: Some(target(&run.target.clone().into())),
        vars: Some(of_json(&run.options.vars)),
        full_refresh: run.options.full_refresh,
        fail_fast: run.options.fail_fast,
        store_failures: run.options.store_failures,
        empty: run.options.empty,
        indirect_selection: run.indirect_selection.clone(),
        priority: run.priority,
        timeout: run.timeout.map(duration),
        task_timeout: run.task_timeout.map(duration),
        retry: Some(retry(&run.retry)),
        worker_labels: run.worker_labels.clone().into_iter().collect(),
        selector: run.selector.clone().unwrap_or_default(),
        resource_types: run.resource_types.clone(),
        exclude_resource_types: run.exclude_resource_types.clone(),
        results: Default::default(),
        event_time: microbatch::event_time(run.options.event_time),
    }
}

/// What was decided, without what the caller knows of when, and of the run.
pub fn decision(decision: &Decision) -> v1::Tick {
    let mut tick = v1::Tick::default();
    let wire = match decision {
        Decision::Started { run } => {
            tick.run_id = run.to_string();
            v1::TickDecision::Started
        }
        Decision::Buffered => v1::TickDecision::Buffered,
        Decision::Skipped { running } => {
            tick.run_id = running.to_string();
            tick.reason = "a run of an earlier tick had not finished".to_owned();
            v1::TickDecision::Skipped
        }
        Decision::Missed { reason } => {
            tick.reason = reason.as_str().to_owned();
            v1::TickDecision::Missed
        }
        Decision::Failed { reason } => {
            tick.reason.clone_from(reason);
            v1::TickDecision::Failed
        }
    };
    tick.set_decision(wire);
    tick
}

/// A moment that must be given.
pub fn to_moment(field: &'static str, at: Option<prost_types::Timestamp>) -> Result<Timestamp, Invalid> {
    at.map(|at| to_timestamp(Some(at))).ok_or_else(|| Invalid::missing(field))
}
