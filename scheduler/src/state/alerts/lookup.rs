//! Finding channels and notices, and keeping deadlines.

use std::sync::Arc;

use common::alert::Channel;
use common::{RunId, ScheduleName, Timestamp};

use super::{Alerts, DEADLINES_MAX, Ended, Notice, NoticeId, Subject};

impl Alerts {
    pub fn channel(&self, name: &ScheduleName) -> Option<&Arc<Channel>> {
        self.channels.get(name)
    }

    /// By name.
    pub fn channels(&self) -> impl ExactSizeIterator<Item = &Arc<Channel>> {
        self.channels.values()
    }

    pub fn notice(&self, id: NoticeId) -> Option<&Notice> {
        self.notices.get(&id)
    }

    /// On their way, the oldest first.
    pub fn notices(&self) -> impl ExactSizeIterator<Item = (NoticeId, &Notice)> {
        self.notices.iter().map(|(id, notice)| (*id, notice))
    }

    /// Not on their way any more, the one that ended first in front.
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = &Ended> {
        self.ended.iter()
    }

    /// When the first tick must have succeeded.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.by_deadline.first().map(|(due_at, ..)| *due_at)
    }

    /// The run of this tick must have succeeded by then.
    pub(in crate::state) fn watch(&mut self, schedule: &ScheduleName, scheduled_at: Timestamp, due_at: Timestamp) {
        if self.deadlines.len() < DEADLINES_MAX {
            self.unwatch(schedule, scheduled_at);
            self.deadlines.insert((schedule.clone(), scheduled_at), due_at);
            self.by_deadline.insert((due_at, schedule.clone(), scheduled_at));
        }
    }

    pub(in crate::state) fn unwatch(&mut self, schedule: &ScheduleName, scheduled_at: Timestamp) {
        let key = (schedule.clone(), scheduled_at);
        if let Some(due_at) = self.deadlines.remove(&key) {
            self.by_deadline.remove(&(due_at, key.0, key.1));
        }
    }

    /// What was told of the run does not matter any more.
    pub(in crate::state) fn forget_run(&mut self, run: RunId) {
        self.told.remove(&run);
        self.troubled.remove(&Subject::Run(run));
    }

    /// A schedule that gets the name later is another.
    pub(in crate::state) fn forget_schedule(&mut self, name: &ScheduleName) {
        self.troubled.remove(&Subject::Schedule(name.clone()));
        let watched = self.deadlines.range((name.clone(), Timestamp(i64::MIN))..=(name.clone(), Timestamp(i64::MAX)));
        let watched: Vec<Timestamp> = watched.map(|((_, scheduled_at), _)| *scheduled_at).collect();
        for scheduled_at in watched {
            self.unwatch(name, scheduled_at);
        }
    }

    /// Brings back what follows from the rest.
    pub(in crate::state) fn index(&mut self) {
        let by_deadline = self.deadlines.iter();
        self.by_deadline = by_deadline.map(|((name, at), due_at)| (*due_at, name.clone(), *at)).collect();
    }
}
