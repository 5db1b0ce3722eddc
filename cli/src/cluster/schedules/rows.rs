//! Schedules, ticks and backfills as lists show them.

use proto::v1::{
    Backfill, BackfillOrder, BackfillState, CatchUpPolicy, Overlap, RunState, Schedule, ScheduleStatus, Tick,
    TickDecision,
};
use serde_json::{Value as Json, json};

use super::super::runs;
use super::super::show::{Column, Row, column, wide};
use super::super::time::{hex, instant, moment};

pub const SCHEDULES: [Column; 9] = [
    column("SCHEDULE"),
    column("CRON"),
    column("ZONE"),
    wide("PROJECT"),
    wide("OVERLAP"),
    column("NEXT"),
    column("RUNNING"),
    column("LAST"),
    column("RESULT"),
];
pub const TICKS: [Column; 7] = [
    column("TICK"),
    column("DECISION"),
    column("DECIDED"),
    column("RUN"),
    column("RESULT"),
    wide("SERIES"),
    column("REASON"),
];
pub const COMING: [Column; 3] = [column("TICK"), column("LOCAL"), column("DUE")];
pub const BACKFILLS: [Column; 9] = [
    column("BACKFILL"),
    column("SCHEDULE"),
    column("STATE"),
    column("FROM"),
    column("UNTIL"),
    column("DONE"),
    column("RUNNING"),
    column("FAILED"),
    wide("PARALLEL"),
];

pub fn schedule(status: &ScheduleStatus) -> Row {
    let declared = status.schedule.clone().unwrap_or_default();
    let last = status.last_tick.clone().unwrap_or_default();
    let next = if status.paused_at.is_some() { "paused".to_owned() } else { moment(status.next_at.as_ref()) };
    let project = declared.run.as_ref().map(|run| run.project.clone()).unwrap_or_default();
    let mut shown = declaration(&declared);
    shown["next_at"] = json!(status.next_at.as_ref().map(|at| moment(Some(at))));
    shown["paused_at"] = json!(status.paused_at.as_ref().map(|at| moment(Some(at))));
    shown["active_runs"] = json!(status.active_run_ids);
    shown["last_tick"] = status.last_tick.as_ref().map(|last| tick(last).json).unwrap_or_default();
    Row {
        name: declared.name.clone(),
        cells: vec![
            declared.name.clone(),
            declared.cron.clone(),
            declared.time_zone.clone(),
            project,
            overlap(declared.overlap()).to_owned(),
            next,
            status.active_run_ids.len().to_string(),
            moment(last.scheduled_at.as_ref()),
            result(&last),
        ],
        json: shown,
    }
}

/// Everything that a schedule was declared with, in the words of the file.
pub fn declaration(declared: &Schedule) -> Json {
    let run = declared.run.clone().unwrap_or_default();
    let catch_up = declared.catch_up.unwrap_or_default();
    let length = |length: Option<&prost_types::Duration>| length.map(|length| format!("{}s", seconds(length)));
    let vars = run.vars.clone().map(proto::scalar::to_json).unwrap_or_default();
    let labels: std::collections::BTreeMap<_, _> = run.worker_labels.iter().collect();
    json!({
        "name": declared.name,
        "cron": declared.cron,
        "time_zone": declared.time_zone,
        "project": run.project,
        "revision": if run.bundle_digest.is_empty() { "latest".to_owned() } else { hex(&run.bundle_digest) },
        "verb": run.verb().as_str_name().trim_start_matches("VERB_").to_lowercase(),
        "select": run.select,
        "exclude": run.exclude,
        "selector": run.selector,
        "target": run.target.as_ref().map(|target| target.name.clone()),
        "vars": vars,
        "full_refresh": run.full_refresh,
        "fail_fast": run.fail_fast,
        "priority": run.priority,
        "retries": run.retry.as_ref().map(|retry| retry.attempts_max.saturating_sub(1)),
        "timeout": length(run.timeout.as_ref()),
        "task_timeout": length(run.task_timeout.as_ref()),
        "worker_labels": labels,
        "deadline": length(declared.deadline.as_ref()),
        "jitter": length(declared.jitter.as_ref()),
        "start": declared.start_at.as_ref().map(|at| moment(Some(at))),
        "end": declared.end_at.as_ref().map(|at| moment(Some(at))),
        "overlap": overlap(declared.overlap()),
        "catch_up": {
            "window": length(catch_up.window.as_ref()),
            "policy": policy(catch_up.policy()),
            "max": catch_up.ticks_max,
        },
        "wait_for_sources": declared.wait_for_sources.as_ref().map(|gate| json!({
            "select": gate.select,
            "every": length(gate.every.as_ref()),
        })),
        "paused": declared.paused,
    })
}

fn seconds(length: &prost_types::Duration) -> String {
    let text = format!("{}.{:03}", length.seconds, length.nanos / 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn tick(tick: &Tick) -> Row {
    let at = moment(tick.scheduled_at.as_ref());
    let shown = if tick.count > 1 { format!("{at} and {} more", tick.count - 1) } else { at.clone() };
    let decision = decision(tick.decision());
    Row {
        name: at.clone(),
        cells: vec![
            shown,
            decision.to_owned(),
            instant(tick.decided_at.as_ref()),
            tick.run_id.clone(),
            runs::state(tick.run_state()).to_owned(),
            tick.series.clone(),
            tick.reason.clone(),
        ],
        json: json!({
            "scheduled_at": at,
            "until": moment(tick.until.as_ref()),
            "count": tick.count,
            "decision": decision,
            "decided_at": instant(tick.decided_at.as_ref()),
            "run": tick.run_id,
            "result": runs::state(tick.run_state()),
            "series": tick.series,
            "reason": tick.reason,
        }),
    }
}

pub fn backfill(backfill: &Backfill) -> Row {
    let state = match backfill.state() {
        BackfillState::Unspecified => "",
        BackfillState::Active => "active",
        BackfillState::Paused => "paused",
        BackfillState::Canceled => "canceled",
        BackfillState::Finished => "finished",
    };
    let order = if backfill.order() == BackfillOrder::NewestFirst { "newest_first" } else { "oldest_first" };
    let (first, last) = (moment(backfill.first.as_ref()), moment(backfill.last.as_ref()));
    let done = backfill.decided.saturating_sub(backfill.running);
    Row {
        name: backfill.backfill_id.to_string(),
        cells: vec![
            backfill.backfill_id.to_string(),
            backfill.schedule.clone(),
            state.to_owned(),
            first.clone(),
            last.clone(),
            format!("{done}/{}", backfill.total),
            backfill.running.to_string(),
            backfill.failed.to_string(),
            backfill.parallel.to_string(),
        ],
        json: json!({
            "id": backfill.backfill_id,
            "schedule": backfill.schedule,
            "state": state,
            "from": first,
            "until": last,
            "order": order,
            "parallel": backfill.parallel,
            "total": backfill.total,
            "done": done,
            "running": backfill.running,
            "succeeded": backfill.succeeded,
            "failed": backfill.failed,
        }),
    }
}

/// How the last tick ended: its run's state, or why it has none.
fn result(tick: &Tick) -> String {
    match tick.run_state() {
        RunState::Unspecified => decision(tick.decision()).to_owned(),
        state => runs::state(state).to_owned(),
    }
}

fn decision(decision: TickDecision) -> &'static str {
    match decision {
        TickDecision::Unspecified => "",
        TickDecision::Started => "started",
        TickDecision::Buffered => "buffered",
        TickDecision::Skipped => "skipped",
        TickDecision::Missed => "missed",
        TickDecision::Failed => "failed",
    }
}

fn overlap(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Unspecified | Overlap::Skip => "skip",
        Overlap::BufferOne => "buffer_one",
        Overlap::AllowAll => "allow_all",
        Overlap::CancelOther => "cancel_other",
    }
}

fn policy(policy: CatchUpPolicy) -> &'static str {
    match policy {
        CatchUpPolicy::Unspecified | CatchUpPolicy::Latest => "latest",
        CatchUpPolicy::All => "all",
        CatchUpPolicy::None => "none",
    }
}
