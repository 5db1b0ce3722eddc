//! Schedules: when runs of a project are due, and what happens where that is not simple.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::RunRequest;
use crate::{RunId, Timestamp};

/// Names a schedule in its cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScheduleName(Arc<str>);

impl ScheduleName {
    /// Longest name, in bytes.
    pub const MAX: usize = 128;

    /// Names are made of ASCII letters, digits, `-`, `_` and `.`, and begin with a letter or a digit.
    pub fn new(name: &str) -> Option<Self> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = name.len() <= Self::MAX
            && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(is_of_name);
        is_name.then(|| Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A schedule as somebody declared it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub name: ScheduleName,
    pub calendar: Calendar,
    /// What a tick runs. Strings of `options.vars` may be templates over the tick.
    pub run: RunRequest,
    pub overlap: Overlap,
    pub catch_up: CatchUp,
    /// After `scheduled_at`: of a run that has not succeeded by then there is an alert.
    pub deadline: Option<Duration>,
}

/// Sources that must be fresh before a tick runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceGate {
    /// As `source freshness` selects them.
    pub select: Vec<String>,
    /// How often they are looked at while they are not.
    pub every: Duration,
}

impl SourceGate {
    pub const EVERY: Duration = Duration::from_secs(300);
    pub const EVERY_MIN: Duration = Duration::from_secs(1);
}

/// When ticks are due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Five fields, six with seconds in front, `@daily` and its like, or `@after` and names of schedules with commas between: a tick
    /// comes when each of those has succeeded since the last one.
    pub cron: String,
    /// A name of the IANA time zone database.
    pub time_zone: String,
    /// No tick is before this.
    pub start_at: Option<Timestamp>,
    /// No tick is after this.
    pub end_at: Option<Timestamp>,
    /// Each tick is due at most so much later than `scheduled_at`, by an amount that its schedule and it decide: many schedules of the
    /// same minute do not all begin at once.
    pub jitter: Duration,
}

impl Calendar {
    /// Begins a calendar that follows other schedules.
    pub const AFTER: &str = "@after";

    /// The schedules that it follows, as they are written; none where it goes by the clock.
    pub fn follows(&self) -> Option<impl Iterator<Item = &str>> {
        let names = self.cron.strip_prefix(Self::AFTER)?;
        let is_word = names.is_empty() || names.starts_with(char::is_whitespace);
        is_word.then(|| names.split(',').map(str::trim).filter(|name| !name.is_empty()))
    }
}

/// What becomes of a tick while a run of an earlier one has not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Overlap {
    /// It is skipped. Kubernetes: `Forbid`.
    #[default]
    Skip,
    /// It waits for the end of what runs; those that come while one waits are skipped.
    BufferOne,
    /// It runs beside it. Kubernetes: `Allow`.
    AllowAll,
    /// What runs is canceled, and it runs instead. Kubernetes: `Replace`.
    CancelOther,
}

impl Overlap {
    pub const ALL: [Self; 4] = [Self::Skip, Self::BufferOne, Self::AllowAll, Self::CancelOther];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::AllowAll => "allow_all",
            Self::CancelOther => "cancel_other",
        }
    }
}

/// What becomes of ticks that nobody could decide when they were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// How late a tick may still run. Kubernetes: `startingDeadlineSeconds`.
    pub window: Duration,
    pub policy: CatchUpPolicy,
    /// Most late ticks that run, the latest ones.
    pub ticks_max: u32,
}

impl CatchUp {
    pub const WINDOW: Duration = Duration::from_secs(24 * 3_600);
    pub const TICKS_MAX: u32 = 100;
    /// What is late by no more than this counts as on time, whatever the policy: another leader may have had to be found.
    pub const ON_TIME: Duration = Duration::from_secs(30);
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { window: Self::WINDOW, policy: CatchUpPolicy::Latest, ticks_max: Self::TICKS_MAX }
    }
}

/// Which late ticks run, of those that are not too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CatchUpPolicy {
    All,
    #[default]
    Latest,
    None,
}

impl CatchUpPolicy {
    pub const ALL: [Self; 3] = [Self::All, Self::Latest, Self::None];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Latest => "latest",
            Self::None => "none",
        }
    }
}

/// A tick to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Upcoming {
    /// Its nominal time.
    pub scheduled_at: Timestamp,
    /// With jitter.
    pub due_at: Timestamp,
}

/// What was decided about a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It has a run.
    Started { run: RunId },
    /// It waits for the end of the runs before it.
    Buffered,
    /// An earlier run had not finished.
    Skipped { running: RunId },
    /// Ticks that nobody decided in time, and why they do not run any more.
    Missed { reason: MissReason },
    /// There could be no run, and why.
    Failed { reason: String },
}

impl Decision {
    /// Every decision's [`Decision::as_str`].
    pub const NAMES: [&str; 5] = ["started", "buffered", "skipped", "missed", "failed"];

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Buffered => "buffered",
            Self::Skipped { .. } => "skipped",
            Self::Missed { .. } => "missed",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Why ticks were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MissReason {
    /// Later than the catch-up window.
    TooLate,
    /// The catch-up policy takes others.
    Policy,
    /// More than the catch-up policy's bound.
    Bound,
    /// The schedule was paused.
    Paused,
    /// The schedule was changed before they were decided.
    Changed,
    /// It waited for the end of an earlier run when the schedule was paused or changed.
    Withdrawn,
}

impl MissReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "too late: outside the catch-up window",
            Self::Policy => "left out by the catch-up policy",
            Self::Bound => "more late ticks than the catch-up bound",
            Self::Paused => "the schedule was paused",
            Self::Changed => "the schedule was changed",
            Self::Withdrawn => "withdrawn while it waited for an earlier run",
        }
    }
}
