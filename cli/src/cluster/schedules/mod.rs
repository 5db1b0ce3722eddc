//! `kontiki schedule …` and `kontiki backfill …`

mod apply;
mod backfill;
mod file;
mod moments;
mod rows;

use proto::v1::schedule_service_client::ScheduleServiceClient;
use proto::v1::{
    DeleteSchedulesRequest, GetScheduleRequest, ListSchedulesRequest, ListTicksRequest, PauseScheduleRequest,
    PreviewTicksRequest, ResumeScheduleRequest, ScheduleStatus, Tick, TriggerScheduleRequest,
};
use serde_json::json;

use super::args;
use super::connect::Connected;
use super::show::{Listing, Row, show};
use super::time::moment;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub use backfill::backfills;

const PAGE_SIZE_MAX: u32 = 500;

pub fn schedules(call: &Call, verb: &args::Schedule) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    let told = |text: String| {
        call.console.output(&text);
        Ok(Exit::Success)
    };
    match verb {
        args::Schedule::Apply(declare) => apply::apply(&cluster, declare),
        args::Schedule::List(shown) => show(call, *shown, || {
            Ok(Listing::list(&rows::SCHEDULES, list(&cluster)?.iter().map(rows::schedule).collect()))
        }),
        args::Schedule::Get { name, shown } => show(call, *shown, || {
            let status = get(&cluster, name)?;
            let mut listing = Listing::one(&rows::SCHEDULES, rows::schedule(&status));
            let ticks = history(&cluster, name, 5)?;
            listing.below.push(Listing::list(&rows::TICKS, ticks.iter().map(rows::tick).collect()));
            Ok(listing)
        }),
        args::Schedule::Delete { names } => {
            let request = DeleteSchedulesRequest { names: names.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { ScheduleServiceClient::new(channel).delete_schedules(request).await }
            })?;
            told(format!("deleted {}", names.join(", ")))
        }
        args::Schedule::Pause { name } => {
            let request = PauseScheduleRequest { name: name.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { ScheduleServiceClient::new(channel).pause_schedule(request).await }
            })?;
            told(format!("schedule {name} is paused"))
        }
        args::Schedule::Resume { name } => {
            let request = ResumeScheduleRequest { name: name.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { ScheduleServiceClient::new(channel).resume_schedule(request).await }
            })?;
            told(format!("schedule {name} goes on"))
        }
        args::Schedule::Trigger { name } => {
            let request = TriggerScheduleRequest {
                name: name.clone(),
                // The same call never begins two runs, however often it has to ask.
                request_id: call.invocation_id.clone(),
                scheduled_at: None,
            };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { ScheduleServiceClient::new(channel).trigger_schedule(request).await }
            })?;
            told(answer.run_id)
        }
        args::Schedule::Next { name, count, shown } => show(call, *shown, || next(&cluster, name, *count)),
        args::Schedule::History { name, limit, shown } => show(call, *shown, || {
            Ok(Listing::list(&rows::TICKS, history(&cluster, name, *limit)?.iter().map(rows::tick).collect()))
        }),
        args::Schedule::Backfill(start) => backfill::start(&cluster, start),
    }
}

fn get(cluster: &Connected<'_>, name: &str) -> Result<ScheduleStatus, Refused> {
    let request = GetScheduleRequest { name: name.to_owned() };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { ScheduleServiceClient::new(channel).get_schedule(request).await }
    })?;
    Ok(answer.schedule.unwrap_or_default())
}

fn list(cluster: &Connected<'_>) -> Result<Vec<ScheduleStatus>, Refused> {
    let mut schedules = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSchedulesRequest { page_size: PAGE_SIZE_MAX, page_token };
        let page = cluster.ask(|channel| {
            let request = request.clone();
            async move { ScheduleServiceClient::new(channel).list_schedules(request).await }
        })?;
        schedules.extend(page.schedules);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(schedules);
        }
    }
}

fn next(cluster: &Connected<'_>, name: &str, count: u32) -> Result<Listing, Refused> {
    let request = PreviewTicksRequest { name: name.to_owned(), count, from: None, until: None };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { ScheduleServiceClient::new(channel).preview_ticks(request).await }
    })?;
    let row = |tick: &proto::v1::preview_ticks_response::Preview| {
        let (at, due) = (moment(tick.scheduled_at.as_ref()), moment(tick.due_at.as_ref()));
        Row {
            name: at.clone(),
            cells: vec![at.clone(), tick.local.clone(), due.clone()],
            json: json!({ "scheduled_at": at, "local": tick.local, "due_at": due }),
        }
    };
    Ok(Listing::list(&rows::COMING, answer.ticks.iter().map(row).collect()))
}

/// The latest ticks that were decided, at most `limit`.
fn history(cluster: &Connected<'_>, name: &str, limit: u32) -> Result<Vec<Tick>, Refused> {
    let request =
        ListTicksRequest { name: name.to_owned(), page_size: limit.min(PAGE_SIZE_MAX), page_token: String::new() };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { ScheduleServiceClient::new(channel).list_ticks(request).await }
    })?;
    Ok(answer.ticks)
}
