//! Where a run of a schedule comes from.

use common::{ScheduleName, Timestamp};
use serde::{Deserialize, Serialize};

use super::BackfillId;

/// The tick that a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub schedule: ScheduleName,
    pub series: Series,
    pub scheduled_at: Timestamp,
}

/// What decides ticks one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Series {
    /// The schedule itself.
    Calendar,
    /// Somebody who asked for a run now. No part of any series: each such tick stands for itself.
    Manual,
    Backfill(BackfillId),
}
