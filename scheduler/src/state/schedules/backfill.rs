//! Runs for past ticks of a schedule, so many at once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use common::schedule::Schedule;
use common::{RequestId, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Tick;

/// Most ticks of one backfill.
pub const BACKFILL_TICKS_MAX: u64 = 10_000;
/// Most backfills that are remembered; the oldest that has ended makes room.
pub const BACKFILLS_MAX: usize = 1_000;

/// Names a backfill: the index of the entry that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackfillId(pub u64);

impl fmt::Display for BackfillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// As the schedule was when this was started.
    pub declared: Arc<Schedule>,
    /// Of whoever started it; the same one again means the same backfill.
    pub request: RequestId,
    /// The first and the last tick.
    pub from: Timestamp,
    pub until: Timestamp,
    pub order: Order,
    /// Most runs at once.
    pub parallel: u32,
    /// Ticks in all.
    pub total: u64,
    pub started_at: Timestamp,
    pub state: BackfillState,
    /// The first tick, in its order, that is not decided.
    pub next: Option<Timestamp>,
    /// In the order in which they were decided.
    pub(in crate::state) ticks: Vec<Tick>,
    /// Runs that have not finished. Follows from the rest.
    #[serde(skip)]
    pub(in crate::state) active: BTreeSet<RunId>,
}

/// Which ticks come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

/// Where a backfill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackfillState {
    Active,
    /// Nothing more begins until it is resumed.
    Paused,
    Canceled {
        at: Timestamp,
    },
    /// Every tick is decided and every run has finished.
    Finished {
        at: Timestamp,
    },
}

impl Backfill {
    pub fn has_ended(&self) -> bool {
        matches!(self.state, BackfillState::Canceled { .. } | BackfillState::Finished { .. })
    }

    pub fn ticks(&self) -> impl ExactSizeIterator<Item = &Tick> {
        self.ticks.iter()
    }

    pub fn active(&self) -> impl ExactSizeIterator<Item = RunId> {
        self.active.iter().copied()
    }

    /// The tick that can begin now.
    pub fn due(&self) -> Option<Timestamp> {
        let has_room = self.state == BackfillState::Active && self.active.len() < self.parallel as usize;
        self.next.filter(|_| has_room)
    }
}
