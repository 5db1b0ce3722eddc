//! Bugs that the simulation must find, each behind a switch that only exists with the feature `planted-bugs`.
//!
//! Without the feature nothing can be planted and the switches compile to nothing.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A report is accepted whatever its epoch.
    StaleEpochAccepted,
    /// A report that repeats an accepted one counts again.
    ReportAppliedTwice,
    /// A known request id starts a second run.
    DeduplicationOff,
    /// A task becomes ready when its first upstream succeeds.
    UpstreamsNotAwaited,
    /// A lost worker's attempts stay with it.
    AttemptsStayWithLostWorker,
    /// An attempt gets the epoch of the one before.
    EpochReused,
    /// A failed task's downstreams wait forever.
    FailureNotPropagated,
    /// Backoff never ends.
    RetryForgotten,
    /// A worker that says hello again is not told what it missed.
    AssignmentNotResent,
    /// The lease of a silent worker never ends.
    LeaseIgnored,
    /// What went wrong for a while is not recorded.
    JournalGap,
}

impl Bug {
    pub const ALL: [Self; 11] = [
        Self::StaleEpochAccepted,
        Self::ReportAppliedTwice,
        Self::DeduplicationOff,
        Self::UpstreamsNotAwaited,
        Self::AttemptsStayWithLostWorker,
        Self::EpochReused,
        Self::FailureNotPropagated,
        Self::RetryForgotten,
        Self::AssignmentNotResent,
        Self::LeaseIgnored,
        Self::JournalGap,
    ];
}
