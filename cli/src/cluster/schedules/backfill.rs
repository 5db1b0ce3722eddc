//! Runs for ticks of the past.

use proto::v1::schedule_service_client::ScheduleServiceClient;
use proto::v1::steer_backfill_request::Steer;
use proto::v1::{
    BackfillOrder, GetBackfillRequest, ListBackfillsRequest, PreviewTicksRequest, StartBackfillRequest,
    SteerBackfillRequest,
};

use common::Diagnostic;
use common::diagnostic::Code;

use super::super::args;
use super::super::connect::Connected;
use super::super::show::{Listing, show};
use super::super::time::moment;
use super::{get, moments, rows};
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// Ticks of a preview that are printed.
const SHOWN_MAX: u32 = 20;

/// `kontiki schedule backfill`
pub fn start(cluster: &Connected<'_>, start: &args::Backfill) -> Result<Exit, Refused> {
    let call = cluster.call;
    let zone = get(cluster, &start.name)?.schedule.unwrap_or_default().time_zone;
    let at = |flag: &str, text: &str| {
        moments::parse(text, &zone)
            .map_err(|problem| call.refuse(Diagnostic::error(Code::Usage, format!("--{flag}: {problem}"))))
    };
    let (from, to) = (at("from", &start.from)?, at("to", &start.to)?);
    let order = match start.order {
        args::Order::OldestFirst => BackfillOrder::OldestFirst,
        args::Order::NewestFirst => BackfillOrder::NewestFirst,
    };
    let request = StartBackfillRequest {
        name: start.name.clone(),
        // The same call never begins two, however often it has to ask.
        request_id: call.invocation_id.clone(),
        from: Some(from),
        to: Some(to),
        parallel: start.parallel,
        order: order.into(),
        dry_run: start.dry_run,
    };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { ScheduleServiceClient::new(channel).start_backfill(request).await }
    })?;
    let what = format!(
        "{} ticks from {} to {} UTC",
        answer.ticks,
        moment(answer.first.as_ref()),
        moment(answer.last.as_ref())
    );
    if !start.dry_run {
        call.console.output(&format!("backfill {} of {what}", answer.backfill_id));
        return Ok(Exit::Success);
    }
    call.console.output(&format!("would run {what}"));
    let request =
        PreviewTicksRequest { name: start.name.clone(), count: SHOWN_MAX, from: answer.first, until: answer.last };
    let preview = cluster.ask(|channel| {
        let request = request.clone();
        async move { ScheduleServiceClient::new(channel).preview_ticks(request).await }
    })?;
    for tick in &preview.ticks {
        call.console.output(&format!("  {}", tick.local));
    }
    if answer.ticks > u64::from(SHOWN_MAX) {
        call.console.output(&format!("  and {} more", answer.ticks - u64::from(SHOWN_MAX)));
    }
    Ok(Exit::Success)
}

/// `kontiki backfill …`
pub fn backfills(call: &Call, verb: &args::Backfills) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        args::Backfills::List { schedule, shown } => show(call, *shown, || {
            let request = ListBackfillsRequest { name: schedule.clone().unwrap_or_default() };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { ScheduleServiceClient::new(channel).list_backfills(request).await }
            })?;
            Ok(Listing::list(&rows::BACKFILLS, answer.backfills.iter().map(rows::backfill).collect()))
        }),
        args::Backfills::Get { id, shown } => show(call, *shown, || {
            let request = GetBackfillRequest { backfill_id: *id };
            let answer = cluster
                .ask(|channel| async move { ScheduleServiceClient::new(channel).get_backfill(request).await })?;
            let mut listing = Listing::one(&rows::BACKFILLS, rows::backfill(&answer.backfill.unwrap_or_default()));
            listing.below.push(Listing::list(&rows::TICKS, answer.ticks.iter().map(rows::tick).collect()));
            Ok(listing)
        }),
        args::Backfills::Pause { id } => steer(&cluster, *id, Steer::Pause, "is paused"),
        args::Backfills::Resume { id } => steer(&cluster, *id, Steer::Resume, "goes on"),
        args::Backfills::Cancel { id } => steer(&cluster, *id, Steer::Cancel, "is canceled"),
    }
}

fn steer(cluster: &Connected<'_>, id: u64, steer: Steer, told: &str) -> Result<Exit, Refused> {
    let request = SteerBackfillRequest { backfill_id: id, steer: steer.into() };
    cluster.ask(|channel| async move { ScheduleServiceClient::new(channel).steer_backfill(request).await })?;
    cluster.call.console.output(&format!("backfill {id} {told}"));
    Ok(Exit::Success)
}
