//! Why the leader could not do what it was asked.

use crate::state::Rejection;
use crate::store;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The log failed; what was in flight may or may not be in it.
    #[error("{0}")]
    Store(std::sync::Arc<store::Error>),
    /// A defect: the reply does not belong to the command.
    #[error("the leader answered something else than it was asked")]
    WrongReply,
    #[error("the leader has stopped")]
    Stopped,
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(std::sync::Arc::new(error))
    }
}

impl Error {
    /// Whether another process has the log.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(error) if matches!(**error, store::Error::Locked { .. }))
    }

    /// Whether the log on disk is damaged.
    pub fn is_corrupt(&self) -> bool {
        use store::Error as E;
        let Self::Store(error) = self else { return false };
        let damage = |source: &sled::Error| match source {
            sled::Error::Corruption { .. } | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => true,
            sled::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
            sled::Error::CollectionNotFound(_) => false,
        };
        match &**error {
            E::CorruptEntry { .. }
            | E::EntriesLost { .. }
            | E::WritesLost { .. }
            | E::CorruptSnapshot { .. }
            | E::TooNew { .. } => true,
            E::Sled { source, .. } => damage(source),
            E::Io { source, .. } => source.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        }
    }
}
