//! `kontiki schedule apply`: what a file declares becomes what the cluster has; first it is said what that changes.

use std::collections::BTreeMap;

use proto::v1::applied_schedule::Action;
use proto::v1::schedule_service_client::ScheduleServiceClient;
use proto::v1::{AppliedSchedule, ApplySchedulesRequest, Schedule};
use serde_json::Value as Json;

use super::super::args::Declare;
use super::super::connect::Connected;
use super::super::declared;
use super::super::time::moment;
use super::{file, rows};
use crate::exit::Exit;
use crate::project::Refused;

/// Schedules of one request.
const AT_ONCE: usize = 1_000;

pub fn apply(cluster: &Connected<'_>, declare: &Declare) -> Result<Exit, Refused> {
    let call = cluster.call;
    let opened = call.open()?;
    let schedules = file::read(call, &opened, &declared::path(&opened, declare))?;
    let dry_run = declare.dry_run;
    for batch in schedules.chunks(AT_ONCE) {
        let request = ApplySchedulesRequest { schedules: batch.to_vec(), dry_run };
        let answer = cluster.ask(|channel| {
            let request = request.clone();
            async move { ScheduleServiceClient::new(channel).apply_schedules(request).await }
        })?;
        for applied in &answer.applied {
            call.console.output(&told(applied, dry_run));
        }
    }
    Ok(Exit::Success)
}

/// What became of one schedule, with a line for each setting that changed.
fn told(applied: &AppliedSchedule, dry_run: bool) -> String {
    let action = declared::done(applied.action(), dry_run);
    let next = applied.next_at.as_ref().map_or_else(String::new, |at| format!(", next at {} UTC", moment(Some(at))));
    let mut text = format!("schedule {} {action}{next}", applied.name);
    if let (Action::Changed, Some(before), Some(after)) = (applied.action(), &applied.before, &applied.after) {
        let (before, after) = (settings(before), settings(after));
        for (name, old) in &before {
            match after.get(name) {
                Some(new) if new == old => {}
                Some(new) => text.push_str(&format!("\n  - {name}: {old}\n  + {name}: {new}")),
                None => text.push_str(&format!("\n  - {name}: {old}")),
            }
        }
        for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            text.push_str(&format!("\n  + {name}: {new}"));
        }
    }
    text
}

/// Every setting by its path.
fn settings(schedule: &Schedule) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    flatten("", &rows::declaration(schedule), &mut found);
    found
}

fn flatten(path: &str, value: &Json, found: &mut BTreeMap<String, String>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, found);
            }
        }
        Json::Null => {}
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}
