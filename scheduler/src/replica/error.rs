//! Why a replica could not do what it was asked.

use std::sync::Arc;

use common::diagnostic::Code;

use super::Member;
use crate::store;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was done. `None` while there is no leader or it is not known yet: try again soon.
    #[error("this replica does not lead{}", leader.as_ref().map(|leader| format!("; {} at {} does", leader.name, leader.address)).unwrap_or_default())]
    NotLeader { leader: Option<Box<Member>> },
    /// The command may or may not be committed, now or later. Commands that carry ids may be sent again.
    #[error("whether the command was committed is not known: {reason}")]
    Unknown { reason: &'static str },
    /// Nothing was done; the replica is starting, stopping, overloaded or without a majority.
    #[error("the replica is not available: {reason}")]
    Unavailable { reason: &'static str },
    /// The request does not fit the membership as it is.
    #[error("{0}")]
    Membership(String),
    /// The other side belongs to another cluster, or is another replica than the one meant.
    #[error("{0}")]
    WrongPeer(String),
    /// The replica cannot be set up like this.
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Store(Arc<store::Error>),
    /// The replica stopped for good: its disk failed or its state differs from the others'.
    #[error("the replica stopped: {0}")]
    Stopped(Arc<str>),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Error {
    /// What the failure is called in docs/errors.
    pub fn code(&self) -> Code {
        match self {
            Self::NotLeader { .. } | Self::Unknown { .. } | Self::Unavailable { .. } => Code::ClusterUnavailable,
            Self::Membership(_) => Code::ClusterRefused,
            Self::WrongPeer(_) => Code::ClusterMixedUp,
            Self::Config(_) | Self::Store(_) => Code::ServerSetup,
            Self::Stopped(_) => Code::ReplicaStopped,
        }
    }

    /// Whether the same request may succeed soon, here or at another replica. After [`Error::Unknown`] only a request that the
    /// state recognizes, by its id or its epoch, may be sent again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NotLeader { .. } | Self::Unknown { .. } | Self::Unavailable { .. })
    }
}
