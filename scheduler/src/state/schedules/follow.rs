//! Schedules that follow others: their ticks come from what those achieve, not from a clock.
//!
//! ```text
//!   a succeeded ─┐
//!   b succeeded ─┴──▶ each has arrived ──▶ a tick is next ──(DecideTick)──▶ the arrivals begin anew
//! ```

use common::Timestamp;
use common::schedule::{ScheduleName, Upcoming};

use super::lookup::followed;
use super::{Origin, Series};
use crate::state::{Entry, State};

impl State {
    /// A run of a schedule has succeeded. A backfill repairs the past, and nobody follows it there.
    pub(in crate::state) fn arrive(&mut self, entry: &Entry, origin: &Origin) {
        if matches!(origin.series, Series::Backfill(_)) {
            return;
        }
        let followers = self.index.followers.get(&origin.schedule).cloned().unwrap_or_default();
        for follower in followers {
            if self.schedules.get(&follower).is_some_and(|scheduled| scheduled.is_paused()) {
                continue;
            }
            let arrived = self.arrivals.entry(follower.clone()).or_default();
            let latest = arrived.entry(origin.schedule.clone()).or_insert(origin.scheduled_at);
            *latest = origin.scheduled_at.max(*latest);
            self.follow(&follower, entry.at);
        }
    }

    /// Makes a tick next where all that the schedule follows have arrived and none is next yet.
    pub(in crate::state) fn follow(&mut self, name: &ScheduleName, now: Timestamp) {
        let Some(scheduled) = self.schedules.get(name).filter(|scheduled| scheduled.next.is_none()) else { return };
        let followed = followed(scheduled);
        let Some(arrived) = self.arrivals.get(name) else { return };
        if followed.is_empty() || scheduled.is_paused() || !followed.iter().all(|one| arrived.contains_key(one)) {
            return;
        }
        let latest = followed.iter().filter_map(|one| arrived.get(one)).max().copied().unwrap_or(now);
        // Of a tick that was decided already only another one can follow: whoever retried an old run gets a tick of now.
        let decided = scheduled.decided_until;
        let scheduled_at = [latest, now].into_iter().find(|at| decided.is_none_or(|decided| *at > decided));
        let scheduled_at =
            scheduled_at.or_else(|| decided.map(|decided| Timestamp(decided.as_micros().saturating_add(1))));
        let Some(mut scheduled) = self.leave_schedule(name) else { return };
        scheduled.next = scheduled_at.map(|scheduled_at| Upcoming { scheduled_at, due_at: now.max(scheduled_at) });
        self.enter_schedule(name, scheduled);
        self.arrivals.remove(name);
    }
}
