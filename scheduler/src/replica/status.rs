//! What a replica tells about itself and its cluster.

use serde::{Deserialize, Serialize};

/// A replica as the membership knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: u64,
    pub name: String,
    /// Host and port.
    pub address: String,
    /// A learner that becomes a voter by itself once it has caught up.
    pub promote: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Learner,
}

#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Empty before the replica belongs to a cluster.
    pub cluster: String,
    /// 0 before the replica belongs to a cluster.
    pub replica: u64,
    pub leader: Option<Member>,
    pub term: u64,
    pub last_log: u64,
    pub committed: u64,
    pub applied: u64,
    pub snapshot: u64,
    pub purged: u64,
    /// Rolling hash of the state as of its last command.
    pub digest: u64,
    /// With the role of each and, where this replica leads, the last index it is known to have.
    pub members: Vec<(Member, Role, Option<u64>)>,
}
