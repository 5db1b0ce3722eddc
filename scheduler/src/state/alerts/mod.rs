//! Alerts: over which channels they go, which are on their way, and what was told already.
//!
//! ```text
//!   events of an entry ──▶ alert ──▶ one notice for each channel that takes it ──(SettleNotices)──▶ the record of those that ended
//! ```
//!
//! Invariants:
//! - A notice comes to be in the entry that makes its alert true, on every replica alike: no leader decides it, none can lose or double it.
//! - A node that failed in a run is told once, however often the run is retried; a schedule that failed is told to have recovered once.
//! - What is sent is never known to have arrived before the log says so. A leader that dies in between leaves the notice to the next one,
//!   which sends it again under the same id.

mod lookup;
mod raise;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use common::alert::{Alert, Channel};
use common::{RunId, ScheduleName, Timestamp};
use serde::{Deserialize, Serialize};

/// Most channels of a cluster.
pub const CHANNELS_MAX: usize = 1_000;
/// Notices that may be on their way; the oldest give way.
pub const NOTICES_MAX: usize = 10_000;
/// Ended notices that are remembered.
pub const ENDED_KEPT: usize = 500;
/// Nodes that an alert names.
pub(super) const NODES_MAX: usize = 20;
/// Longest message about a node, in bytes.
pub(super) const MESSAGE_MAX: usize = 500;
/// Ticks whose deadline is watched.
pub(super) const DEADLINES_MAX: usize = 100_000;
/// A receiver that cannot be reached is tried for so long.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// The index of the entry that made it, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NoticeId {
    pub index: u64,
    pub place: u32,
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, self.place)
    }
}

/// An alert on its way over one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub channel: ScheduleName,
    pub alert: Arc<Alert>,
    /// When it may be sent, again after a failure.
    pub due_at: Timestamp,
    /// How often it was sent in vain, and what was said the last time.
    pub failures: u32,
    pub error: Option<String>,
}

/// A notice that is not on its way any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub id: NoticeId,
    pub channel: ScheduleName,
    pub alert: Arc<Alert>,
    pub at: Timestamp,
    pub failures: u32,
    /// Why it was given up; none where it arrived.
    pub error: Option<String>,
}

/// What became of sending a notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sent {
    Arrived,
    /// It may be sent again from then on.
    Failed {
        error: String,
        again_at: Timestamp,
    },
    /// It will never arrive.
    GivenUp {
        error: String,
    },
}

/// What may recover: a schedule, or a run of none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Subject {
    Schedule(ScheduleName),
    Run(RunId),
}

/// Everything about alerts that replicas agree on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alerts {
    pub(super) channels: BTreeMap<ScheduleName, Arc<Channel>>,
    pub(super) notices: BTreeMap<NoticeId, Notice>,
    pub(super) ended: VecDeque<Ended>,
    /// Tasks of runs that were told to have failed; a run that failed without any has none in its set.
    pub(super) told: BTreeMap<RunId, BTreeSet<u32>>,
    pub(super) troubled: BTreeSet<Subject>,
    /// When ticks must have succeeded, of those that have not.
    pub(super) deadlines: BTreeMap<(ScheduleName, Timestamp), Timestamp>,
    /// The same by time. Follows from the rest.
    #[serde(skip)]
    pub(super) by_deadline: BTreeSet<(Timestamp, ScheduleName, Timestamp)>,
}
