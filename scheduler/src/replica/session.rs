//! A worker's session with this replica, while it leads.

use std::sync::Arc;

use common::session::{LeaderMessage, WorkerMessage};
use tokio::sync::mpsc;

use super::Error;
use super::core::Core;
use crate::leader::SessionId;

/// The worker's end of a session. Dropping the uplink ends it; the receiver ends when the leader closes it or leads no more,
/// and the worker opens another.
pub struct Session {
    pub uplink: Uplink,
    pub messages: mpsc::Receiver<LeaderMessage>,
}

/// The worker's way to the leader. Hello comes first.
pub struct Uplink {
    core: Arc<Core>,
    session: SessionId,
}

impl Session {
    pub(super) fn open(core: &Arc<Core>) -> Result<Self, Error> {
        let (session, messages) = core.connect()?;
        Ok(Self { uplink: Uplink { core: core.clone(), session }, messages })
    }
}

impl Uplink {
    /// Waits while the leader is behind. An error ends the session.
    pub async fn send(&self, message: WorkerMessage) -> Result<(), Error> {
        self.core.not_congested().await;
        self.core.receive(self.session, message)
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.core.disconnect(self.session);
    }
}

/// Messages on their way to a worker.
pub(super) struct Outbox(mpsc::Sender<LeaderMessage>);

impl Outbox {
    pub fn new(sender: mpsc::Sender<LeaderMessage>) -> Self {
        Self(sender)
    }

    /// False where the worker is gone, or so far behind that it is as good as gone.
    pub fn send(&self, message: LeaderMessage) -> bool {
        self.0.try_send(message).is_ok()
    }
}
