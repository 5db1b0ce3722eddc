//! What a replica tells about itself and its cluster.

use std::collections::BTreeSet;

use openraft::async_runtime::watch::WatchReceiver;
use serde::{Deserialize, Serialize};

use super::shell::{Shell, member};

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
    /// Rolling hash of the state at `applied`.
    pub digest: u64,
    /// With the role of each and, where this replica leads, the last index it is known to have.
    pub members: Vec<(Member, Role, Option<u64>)>,
}

pub(super) fn of(shell: &Shell) -> Status {
    let (applied, digest) = shell.core.standing();
    let mut status = Status { applied, digest, ..Status::default() };
    let (Some(identity), Ok(raft)) = (shell.identity(), shell.raft()) else { return status };
    let metrics = raft.metrics().borrow_watched().clone();
    let index = |log_id: Option<crate::raft::LogId>| log_id.map_or(0, |log_id| log_id.index);
    status.cluster.clone_from(&identity.cluster);
    status.replica = identity.replica;
    status.leader = metrics.current_leader.and_then(|leader| member(&metrics.membership_config, leader));
    status.term = metrics.current_term;
    status.last_log = metrics.last_log_index.unwrap_or(0);
    status.committed = index(metrics.local_committed);
    status.snapshot = index(metrics.snapshot);
    status.purged = index(metrics.purged);
    let voters: BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
    let matched = |id: &u64| metrics.replication.as_ref().and_then(|progress| progress.get(id).copied().flatten());
    let role = |id: &u64| match metrics.current_leader {
        Some(leader) if leader == *id => Role::Leader,
        _ if voters.contains(id) => Role::Follower,
        _ => Role::Learner,
    };
    let nodes = metrics.membership_config.nodes();
    status.members =
        nodes.map(|(id, member)| (member.clone(), role(id), matched(id).map(|log_id| log_id.index))).collect();
    status
}
