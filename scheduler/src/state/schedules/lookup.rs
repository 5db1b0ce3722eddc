//! Finding schedules and what they wait for, and keeping the indexes of them.

use common::schedule::SourceGate;
use common::{ContentDigest, RunId, ScheduleName, Timestamp};

use super::{Backfill, BackfillId, Origin, Scheduled, Series};
use crate::state::State;

impl State {
    pub fn schedule(&self, name: &ScheduleName) -> Option<&Scheduled> {
        self.schedules.get(name)
    }

    /// The sources that it waits for.
    pub fn gate(&self, name: &ScheduleName) -> Option<&SourceGate> {
        self.gates.get(name)
    }

    /// By name.
    pub fn schedules(&self) -> impl ExactSizeIterator<Item = (&ScheduleName, &Scheduled)> {
        self.schedules.iter()
    }

    /// By name, behind this one.
    pub fn schedules_after<'s>(
        &'s self,
        name: Option<&ScheduleName>,
    ) -> impl Iterator<Item = (&'s ScheduleName, &'s Scheduled)> + use<'s> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.schedules.range((name.cloned().map_or(Unbounded, Excluded), Unbounded))
    }

    /// Schedules whose next tick is due at `now`, those that have been due for the longest time in front.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &Scheduled)> {
        let due = self.index.ticks.iter().take_while(move |(due_at, _)| *due_at <= now);
        due.filter_map(|(due_at, name)| Some((*due_at, self.schedules.get(name)?)))
    }

    /// When the first tick is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.index.ticks.first().map(|(due_at, _)| *due_at)
    }

    /// The tick that a run is of.
    pub fn origin(&self, run: &RunId) -> Option<&Origin> {
        self.origins.get(run)
    }

    pub fn backfill(&self, id: &BackfillId) -> Option<&Backfill> {
        self.backfills.get(id)
    }

    /// The oldest first.
    pub fn backfills(&self) -> impl DoubleEndedIterator<Item = (BackfillId, &Backfill)> {
        self.backfills.iter().map(|(id, backfill)| (*id, backfill))
    }

    pub fn backfills_of(&self, name: &ScheduleName) -> impl Iterator<Item = (BackfillId, &Backfill)> {
        self.backfills().filter(move |(_, backfill)| backfill.declared.name == *name)
    }

    /// Backfills that have not ended.
    pub fn open_backfills(&self) -> impl ExactSizeIterator<Item = BackfillId> {
        self.index.backfills.iter().copied()
    }

    /// What was decided about ticks before then is forgotten.
    pub fn forgotten_before(&self) -> Timestamp {
        self.forgotten_before
    }

    pub(in crate::state) fn enter_schedule(&mut self, name: &ScheduleName, scheduled: Scheduled) {
        if let Some(next) = scheduled.next {
            self.index.ticks.insert((next.due_at, name.clone()));
        }
        for followed in followed(&scheduled) {
            self.index.followers.entry(followed).or_default().insert(name.clone());
        }
        self.schedules.insert(name.clone(), scheduled);
    }

    pub(in crate::state) fn leave_schedule(&mut self, name: &ScheduleName) -> Option<Scheduled> {
        let scheduled = self.schedules.remove(name)?;
        if let Some(next) = scheduled.next {
            self.index.ticks.remove(&(next.due_at, name.clone()));
        }
        for followed in followed(&scheduled) {
            if let Some(followers) = self.index.followers.get_mut(&followed) {
                followers.remove(name);
                if followers.is_empty() {
                    self.index.followers.remove(&followed);
                }
            }
        }
        Some(scheduled)
    }

    /// The run is of this tick.
    pub(in crate::state) fn originate(&mut self, run: RunId, origin: Origin) {
        self.activate(run, &origin);
        self.origins.insert(run, origin);
    }

    /// A run that had finished goes on.
    pub(in crate::state) fn resume_origin(&mut self, run: RunId) {
        let Some(origin) = self.origins.get(&run).cloned() else { return };
        if matches!(origin.series, Series::Backfill(_)) || self.schedules.contains_key(&origin.schedule) {
            self.activate(run, &origin);
        } else {
            // A schedule that gets the name later is another.
            self.origins.remove(&run);
        }
    }

    fn activate(&mut self, run: RunId, origin: &Origin) {
        match origin.series {
            Series::Backfill(id) => {
                if let Some(backfill) = self.backfills.get_mut(&id) {
                    backfill.active.insert(run);
                }
            }
            Series::Calendar | Series::Manual => {
                if let Some(scheduled) = self.schedules.get_mut(&origin.schedule) {
                    scheduled.active.insert(run);
                }
            }
        }
    }

    /// Bundles that schedules need, each as often as it is held.
    pub(in crate::state) fn scheduled_bundles(&self) -> impl Iterator<Item = ContentDigest> {
        let pinned = self.schedules.values().filter_map(|scheduled| scheduled.declared.run.bundle);
        let buffered = self.schedules.values().filter_map(|scheduled| scheduled.buffered.as_ref());
        let buffered = buffered.filter_map(|buffered| buffered.submission.deployed.as_ref());
        let open = self.backfills.values().filter(|backfill| !backfill.has_ended());
        let backfilled = open.filter_map(|backfill| backfill.declared.run.bundle);
        pinned.chain(buffered.map(|deployed| deployed.bundle)).chain(backfilled)
    }

    /// Brings back what follows from the rest.
    pub(in crate::state) fn index_schedules(&mut self) {
        for scheduled in self.schedules.values_mut() {
            scheduled.active.clear();
        }
        for backfill in self.backfills.values_mut() {
            backfill.active.clear();
        }
        let is_active = |run: &RunId| self.runs.get(run).is_some_and(|run| !run.is_finished());
        let active: Vec<_> = self.origins.iter().filter(|(run, _)| is_active(run)).collect();
        let active: Vec<(RunId, Origin)> = active.into_iter().map(|(run, origin)| (*run, origin.clone())).collect();
        for (run, origin) in active {
            self.activate(run, &origin);
        }
        let due = self.schedules.iter().filter_map(|(name, known)| Some((known.next?.due_at, name.clone())));
        self.index.ticks = due.collect();
        self.index.followers.clear();
        for (name, known) in &self.schedules {
            for followed in followed(known) {
                self.index.followers.entry(followed).or_default().insert(name.clone());
            }
        }
        self.index.backfills = self.backfills().filter(|(_, known)| !known.has_ended()).map(|(id, _)| id).collect();
    }
}

/// The schedules that it follows.
pub(super) fn followed(scheduled: &Scheduled) -> Vec<ScheduleName> {
    let followed = scheduled.declared.calendar.follows().into_iter().flatten();
    followed.filter_map(ScheduleName::new).collect()
}
