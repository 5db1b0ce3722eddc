//! Which events of an entry people are told of.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::alert::{Alert, AlertKind, Trouble};
use common::schedule::{Decision, MissReason};
use common::task::TaskState;
use common::{RunId, ScheduleName, Timestamp};

use super::{MESSAGE_MAX, NODES_MAX, NOTICES_MAX, Notice, NoticeId, Subject};
use crate::state::schedules::{Origin, Series, Tick};
use crate::state::{CancelCause, Entry, Event, Run, RunOutcome, State};

impl State {
    /// Makes the notices of what became true in this entry.
    pub(in crate::state) fn raise(&mut self, entry: &Entry) {
        let mut alerts = Vec::new();
        for event in &entry.events {
            match event {
                Event::RunFinished { run, outcome, .. } => alerts.extend(self.run_ended(entry.at, *run, *outcome)),
                Event::TickDecided { schedule, tick } => alerts.extend(self.tick_decided(entry.at, schedule, tick)),
                Event::RunRemoved { run } => self.alerts.forget_run(*run),
                _ => {}
            }
        }
        for alert in alerts {
            self.notify(entry, alert);
        }
    }

    fn run_ended(&mut self, at: Timestamp, id: RunId, outcome: RunOutcome) -> Option<Alert> {
        let run = self.runs.get(&id)?;
        let origin = self.origins.get(&id);
        let subject = match origin {
            // A backfill of the past says nothing about how the schedule is doing.
            Some(Origin { series: Series::Backfill(_), .. }) | None => Subject::Run(id),
            Some(origin) => Subject::Schedule(origin.schedule.clone()),
        };
        let mut alert = about(run, origin, at);
        match outcome {
            RunOutcome::Success => {
                if let Some(origin) = origin {
                    self.alerts.unwatch(&origin.schedule, origin.scheduled_at);
                }
                alert.kind = AlertKind::Recovery;
                self.alerts.troubled.remove(&subject).then_some(alert)
            }
            RunOutcome::Canceled(cause) if cause != CancelCause::Timeout => None,
            RunOutcome::Failed | RunOutcome::Canceled(_) => {
                if let RunOutcome::Canceled(_) = outcome {
                    alert.reason = Some("it took longer than it may".to_owned());
                }
                let failed = (0u32..).zip(&run.tasks).filter(|(_, task)| matches!(task.state, TaskState::Failed(_)));
                let failed: BTreeSet<u32> = failed.map(|(index, _)| index).collect();
                let told = self.alerts.told.get(&id);
                let is_new = |index: &u32| told.is_none_or(|told| !told.contains(index));
                let new: Vec<u32> = failed.iter().copied().filter(is_new).collect();
                let is_news = told.is_none() || !new.is_empty();
                alert.nodes = new.iter().take(NODES_MAX).map(|index| trouble(run, *index)).collect();
                alert.nodes_total = new.len() as u32;
                let are_sources = |trouble: &Trouble| trouble.node.resource_type() == "source";
                if !alert.nodes.is_empty() && alert.nodes.iter().all(are_sources) {
                    alert.kind = AlertKind::SourceStale;
                }
                self.alerts.told.entry(id).or_default().extend(failed);
                self.alerts.troubled.insert(subject);
                is_news.then_some(alert)
            }
        }
    }

    fn tick_decided(&mut self, at: Timestamp, schedule: &ScheduleName, tick: &Tick) -> Option<Alert> {
        let scheduled = self.schedules.get(schedule)?;
        let declared = scheduled.declared.clone();
        let reason = match &tick.decision {
            Decision::Started { .. } | Decision::Buffered => {
                // A run of nothing has succeeded already.
                let has_succeeded = match tick.decision {
                    Decision::Started { run } => self.runs.get(&run).is_some_and(Run::has_succeeded),
                    _ => false,
                };
                let is_watched = tick.series == Series::Calendar && !has_succeeded;
                if let Some(deadline) = declared.deadline.filter(|_| is_watched) {
                    self.alerts.watch(schedule, tick.scheduled_at, tick.scheduled_at.plus(deadline));
                }
                return None;
            }
            Decision::Missed { reason: reason @ (MissReason::TooLate | MissReason::Bound) } if tick.count > 1 => {
                format!("{}, with {} others", reason.as_str(), tick.count - 1)
            }
            Decision::Missed { reason: reason @ (MissReason::TooLate | MissReason::Bound) } => {
                reason.as_str().to_owned()
            }
            Decision::Failed { reason } => reason.clone(),
            // Somebody meant these.
            Decision::Missed { .. } | Decision::Skipped { .. } => return None,
        };
        Some(Alert {
            schedule: Some(schedule.clone()),
            scheduled_at: Some(tick.scheduled_at),
            project: Some(declared.run.project.clone()),
            reason: Some(reason),
            ..Alert::new(AlertKind::TickMissed, at)
        })
    }

    /// A tick's run has not succeeded in time.
    pub(in crate::state) fn miss_deadline(&mut self, entry: &Entry, schedule: &ScheduleName, scheduled_at: Timestamp) {
        let Some(scheduled) = self.schedules.get(schedule) else { return };
        let is_of = |tick: &&Tick| tick.series == Series::Calendar && tick.scheduled_at == scheduled_at;
        let run = scheduled.ticks().rev().find(is_of).and_then(|tick| match tick.decision {
            Decision::Started { run } => Some(run),
            _ => None,
        });
        let alert = Alert {
            schedule: Some(schedule.clone()),
            scheduled_at: Some(scheduled_at),
            run,
            project: Some(scheduled.declared.run.project.clone()),
            ..Alert::new(AlertKind::Deadline, entry.at)
        };
        self.notify(entry, alert);
    }

    fn notify(&mut self, entry: &Entry, alert: Alert) {
        let takes = |channel: &&Arc<common::alert::Channel>| channel.takes(alert.kind, alert.schedule.as_ref());
        let channels: Vec<_> =
            self.alerts.channels.values().filter(takes).map(|channel| channel.name.clone()).collect();
        let alert = Arc::new(alert);
        for channel in channels {
            self.send(entry, channel, alert.clone());
        }
    }

    /// Puts a notice on its way.
    pub(in crate::state) fn send(&mut self, entry: &Entry, channel: ScheduleName, alert: Arc<Alert>) -> NoticeId {
        let index = entry.epoch.0;
        let of_entry = NoticeId { index, place: 0 }..=NoticeId { index, place: u32::MAX };
        let place = self.alerts.notices.range(of_entry).next_back().map_or(0, |(id, _)| id.place + 1);
        let id = NoticeId { index, place };
        if self.alerts.notices.len() >= NOTICES_MAX
            && let Some((oldest, _)) = self.alerts.notices.first_key_value()
        {
            let oldest = *oldest;
            self.end_notice(entry.at, oldest, Some("too many were on their way".to_owned()));
        }
        let notice = Notice { channel, alert, due_at: entry.at, failures: 0, error: None };
        self.alerts.notices.insert(id, notice);
        self.digest.mix(&[index, place.into()]);
        id
    }

    /// The notice arrived, or is given up.
    pub(in crate::state) fn end_notice(&mut self, at: Timestamp, id: NoticeId, error: Option<String>) {
        let Some(Notice { channel, alert, failures, .. }) = self.alerts.notices.remove(&id) else { return };
        if self.alerts.ended.len() >= super::ENDED_KEPT {
            self.alerts.ended.pop_front();
        }
        self.alerts.ended.push_back(super::Ended { id, channel, alert, at, failures, error });
    }
}

fn about(run: &Run, origin: Option<&Origin>, at: Timestamp) -> Alert {
    Alert {
        schedule: origin.map(|origin| origin.schedule.clone()),
        scheduled_at: origin.map(|origin| origin.scheduled_at),
        run: Some(run.id),
        project: run.deployed.as_ref().map(|deployed| deployed.project.clone()),
        ..Alert::new(AlertKind::Failure, at)
    }
}

fn trouble(run: &Run, index: u32) -> Trouble {
    let task = &run.tasks[index as usize];
    let failure = task.ending().and_then(|ending| ending.failure);
    let mut message = failure.map(|failure| failure.message).unwrap_or_default();
    message.truncate(message.floor_char_boundary(MESSAGE_MAX));
    Trouble { node: task.node.clone(), message }
}
