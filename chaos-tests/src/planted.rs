//! The bank of bugs: each was made by somebody somewhere, and the simulation must find each.

pub use scheduler::state::planted::Bug;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// In the state machine or in `tick`.
    Scheduler(Bug),
    /// The leader answers before anybody has the entry on disk.
    AcknowledgedTooEarly,
    /// The leader answers when it alone has the entry.
    CommittedWithoutMajority,
    /// A vote is given before it is on disk.
    VoteNotDurable,
    /// A follower says that it has entries before they are on disk.
    AppendedNotDurable,
    /// A candidate is elected whose log lacks entries.
    ShorterLogElected,
    /// A follower takes entries from a leader that was replaced.
    OldTermAccepted,
    /// A follower keeps entries that the leader does not have.
    ConflictKept,
    /// A leader answers reads without asking whether it still leads.
    StaleRead,
    /// A leader that resigns says that what was under way has failed.
    UnknownIsFailed,
    /// The warehouse publishes whatever the epoch.
    FenceOff,
    /// A worker does not look whether an earlier attempt published.
    PublishLogNotRead,
    /// A worker looks before it has the fence, so that an earlier attempt can still publish in between.
    PublishLogReadBeforeClaim,
    /// A worker forgets a report as soon as it is sent.
    ReportNotResent,
}

impl Planted {
    pub fn all() -> Vec<Self> {
        let others = [
            Self::AcknowledgedTooEarly,
            Self::CommittedWithoutMajority,
            Self::VoteNotDurable,
            Self::AppendedNotDurable,
            Self::ShorterLogElected,
            Self::OldTermAccepted,
            Self::ConflictKept,
            Self::StaleRead,
            Self::UnknownIsFailed,
            Self::FenceOff,
            Self::PublishLogNotRead,
            Self::PublishLogReadBeforeClaim,
            Self::ReportNotResent,
        ];
        Bug::ALL.into_iter().map(Self::Scheduler).chain(others).collect()
    }

    /// The bug, where it is the scheduler's own.
    pub fn in_scheduler(self) -> Option<Bug> {
        match self {
            Self::Scheduler(bug) => Some(bug),
            _ => None,
        }
    }
}
