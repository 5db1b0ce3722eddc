//! Schedules, and what was decided about each of their ticks.
//!
//! ```text
//!   next ──(DecideTick: a run, or why there is none)──▶ ticks, and the following tick is next
//! ```
//!
//! Invariants:
//! - A tick is decided once: only the tick that is `next` can be, and deciding it moves `next` on, in the entry that also begins its run.
//! - Nothing here reads a calendar. Which tick follows is said by the proposer, who knows time zones; the state only holds on to it.
//! - What is decided about a tick is kept, until retention forgets it: also that there is no run, and why.

mod backfill;
mod follow;
mod lookup;
mod origin;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use common::schedule::{Decision, MissReason, Schedule, Upcoming};
use common::{RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RunOutcome, Submission};

pub use backfill::{BACKFILL_TICKS_MAX, BACKFILLS_MAX, Backfill, BackfillId, BackfillState, Order};
pub use origin::{Origin, Series};

/// Most schedules of a cluster.
pub const SCHEDULES_MAX: usize = 200_000;
/// Most schedules that one command puts.
pub const PUT_MAX: usize = 1_000;
/// Decided ticks that are kept of one schedule.
pub const TICKS_KEPT: usize = 100;
/// Longest reason that is kept, in bytes.
pub(super) const REASON_MAX: usize = 4 * 1024;

/// A schedule of the cluster and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    pub declared: Arc<Schedule>,
    /// Index of the entry that put it as it is now. What was planned for another is refused.
    pub version: u64,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// Nothing begins by itself since then.
    pub paused_at: Option<Timestamp>,
    /// The first tick that is not decided; none where no further one comes, and while the schedule is paused.
    pub next: Option<Upcoming>,
    /// The last tick of its calendar that was decided: no tick up to then is ever next again.
    pub decided_until: Option<Timestamp>,
    pub(super) buffered: Option<Box<Buffered>>,
    pub(super) ticks: VecDeque<Tick>,
    /// Runs of its ticks that have not finished. Follows from the rest.
    #[serde(skip)]
    pub(super) active: BTreeSet<RunId>,
}

/// A run that begins when those before it have finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Buffered {
    pub scheduled_at: Timestamp,
    pub submission: Submission,
}

/// What was decided about a tick, or about several that were missed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub series: Series,
    pub scheduled_at: Timestamp,
    /// The last tick that this is about: `scheduled_at`, unless several were missed.
    pub until: Timestamp,
    /// How many ticks this is about. Where more were missed than anybody wants to count, how many were counted.
    pub count: u64,
    /// By the clock of whoever led.
    pub decided_at: Timestamp,
    pub decision: Decision,
    /// Of its run, once that has finished.
    pub outcome: Option<RunOutcome>,
}

impl Scheduled {
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// What was decided, the oldest first.
    pub fn ticks(&self) -> impl DoubleEndedIterator<Item = &Tick> {
        self.ticks.iter()
    }

    /// Runs of its ticks that have not finished.
    pub fn active(&self) -> impl Iterator<Item = RunId> {
        self.active.iter().copied()
    }

    /// The tick that waits for the end of the runs before it.
    pub fn buffered(&self) -> Option<Timestamp> {
        self.buffered.as_ref().map(|buffered| buffered.scheduled_at)
    }

    /// Whether this tick could be next.
    pub(super) fn may_be_next(&self, next: Option<Upcoming>) -> bool {
        next.is_none_or(|next| self.decided_until.is_none_or(|decided| decided < next.scheduled_at))
    }

    pub(super) fn record(&mut self, tick: Tick) {
        if tick.series == Series::Calendar {
            self.decided_until = self.decided_until.max(Some(tick.until));
        }
        if self.ticks.len() >= TICKS_KEPT {
            self.ticks.pop_front();
        }
        self.ticks.push_back(tick);
    }

    /// The record of the tick that has, or waits for, a run.
    pub(super) fn tick_of(&mut self, series: Series, scheduled_at: Timestamp) -> Option<&mut Tick> {
        self.ticks.iter_mut().rev().find(|tick| tick.series == series && tick.scheduled_at == scheduled_at)
    }

    /// Gives up what waits, and says so where it was recorded.
    pub(super) fn withdraw(&mut self) -> Option<Box<Buffered>> {
        let buffered = self.buffered.take()?;
        if let Some(tick) = self.tick_of(Series::Calendar, buffered.scheduled_at) {
            tick.decision = Decision::Missed { reason: MissReason::Withdrawn };
        }
        Some(buffered)
    }
}
