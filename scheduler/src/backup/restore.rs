//! From the file to the folder of a new cluster's first replica.
//!
//! Invariant: the identity is written last, and a folder that holds a snapshot without one is refused by whoever starts a replica on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::read::{Checked, read};
use super::{Error, verify};
use crate::raft::identity::Identity;
use crate::raft::machine::{Blobs, establish};
use crate::raft::{LeaderId, LogId, Membership, SnapshotMeta, StoredMembership};
use crate::replica::{Config, Member};

/// Number of the replica that a new cluster begins with.
const FIRST: u64 = 1;

/// Makes the folder of `config` that of the only replica of a new cluster, which has everything that the file holds. Others join it.
/// Blocks. Returns the id of the new cluster.
pub fn restore(file: &Path, config: &Config) -> Result<String, Error> {
    let directory = &config.directory;
    let io = |source| Error::Io { path: directory.clone(), source };
    verify(file)?;
    std::fs::create_dir_all(directory).map_err(io)?;
    if std::fs::read_dir(directory).map_err(io)?.next().is_some() {
        return Err(Error::NotEmpty { path: directory.clone() });
    }
    let Checked { last_index, state, .. } = read(file, Some(&Blobs::new(directory)))?;
    let member = Member { id: FIRST, name: config.name.clone(), address: config.advertise.clone(), promote: false };
    // As if the new cluster had been made with it, before every term.
    let last = LogId::new(LeaderId { term: 0, node_id: 0 }, last_index);
    let membership = Membership::new(vec![BTreeSet::from([FIRST])], BTreeMap::from([(FIRST, member)]));
    let membership = membership.map_err(|error| io(std::io::Error::other(error.to_string())))?;
    let meta = SnapshotMeta { last_log_id: Some(last), last_membership: StoredMembership::new(Some(last), membership) };
    establish(directory, meta, &state).map_err(io)?;
    let cluster = uuid::Uuid::new_v4().to_string();
    let identity = Identity::new(cluster.clone(), FIRST);
    identity.save(directory).map_err(|error| io(std::io::Error::other(error.to_string())))?;
    Ok(cluster)
}
