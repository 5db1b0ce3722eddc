//! A worker's session with this replica, while it leads.

use common::session::{LeaderMessage, WorkerMessage};
use tokio::sync::mpsc;

use super::Error;

/// The worker's end of a session. Dropping the uplink ends it; the receiver ends when the leader closes it or leads no more,
/// and the worker opens another.
pub struct Session {
    pub uplink: Uplink,
    pub messages: mpsc::Receiver<LeaderMessage>,
}

/// The worker's way to the leader. Hello comes first.
pub struct Uplink {
    _private: (),
}

impl Uplink {
    /// Waits while the leader is behind. An error ends the session.
    pub async fn send(&self, _message: WorkerMessage) -> Result<(), Error> {
        Err(Error::Unavailable { reason: "it is starting" })
    }
}
