//! The way to other replicas: `kontiki.v1.RaftService` over one HTTP/2 connection for each, and another for snapshots. Entries and
//! heartbeats have a stream each on it, which last as long as this replica leads and the connection holds.
//!
//! Invariants:
//! - Every message names the cluster and the replica it is meant for.
//! - A replica that cannot be reached is an error, never a granted vote.

mod append;
pub(crate) mod codec;
mod lane;
mod peer;
pub(crate) mod receive;

use std::collections::HashMap;
use std::sync::Arc;

use openraft::network::RaftNetworkFactory;
use proto::tls::Tls;
use tonic::transport::Channel;

use super::Types;
use super::machine::Blobs;
use crate::replica::Member;

pub use codec::Checkpoint;
pub(crate) use peer::MESSAGE_BYTES_MAX;
pub use peer::{Peer, connect};

/// Tells how far this replica's state has come, for others to compare with theirs.
pub trait Compare: Send + Sync + 'static {
    fn checkpoint(&self) -> Checkpoint;
}

/// What every peer needs to know of this replica.
pub struct Local {
    pub cluster: String,
    pub blobs: Blobs,
    pub compare: Arc<dyn Compare>,
    /// How others are talked to; plainly without it.
    pub tls: Option<Tls>,
}

/// Makes peers.
pub struct Network {
    local: Arc<Local>,
    channels: HashMap<String, Channel>,
}

impl Network {
    pub fn new(local: Local) -> Self {
        Self { local: Arc::new(local), channels: HashMap::new() }
    }

    fn peer(&mut self, target: u64, member: &Member) -> Peer {
        let address = &member.address;
        let channel = match self.channels.get(address) {
            Some(channel) => Some(channel.clone()),
            None => connect(address, self.local.tls.as_ref()).inspect(|channel| {
                self.channels.insert(address.clone(), channel.clone());
            }),
        };
        Peer::new(self.local.clone(), target, address.clone(), channel)
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, member: &Member) -> Peer {
        self.peer(target, member)
    }

    async fn new_heartbeat_client(&mut self, target: u64, member: &Member) -> Peer {
        self.peer(target, member).one_by_one()
    }

    async fn new_snapshot_client(&mut self, target: u64, member: &Member) -> Peer {
        let channel = connect(&member.address, self.local.tls.as_ref());
        Peer::new(self.local.clone(), target, member.address.clone(), channel)
    }
}
