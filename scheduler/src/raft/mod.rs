//! Raft by openraft: the log and the vote on sled, the state machine with its snapshots in plain files, the network over gRPC.
//!
//! Invariants:
//! - Nothing is acknowledged to openraft before it is on disk.
//! - A message that names another cluster or another replica changes nothing.
//! - Nothing here knows what a command means: the [`machine::Core`] that entries are applied to does.

pub mod data;
pub mod identity;
pub mod log;
pub mod machine;
pub mod network;

use crate::replica::Member;

pub use data::Data;

/// What openraft is told about our types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types;

impl openraft::RaftTypeConfig for Types {
    type D = Data;
    type R = ();
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Data, u64, Member>;
    type Entry = openraft::impls::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = openraft::TokioRuntime;
    type Responder<T>
        = data::Outcome<T>
    where
        T: Send + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub type Raft = openraft::Raft<Types, machine::Machine>;
pub type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub type LeaderId = openraft::type_config::alias::CommittedLeaderIdOf<Types>;
pub type Vote = openraft::type_config::alias::VoteOf<Types>;
pub type Entry = openraft::type_config::alias::EntryOf<Types>;
pub type Payload = openraft::type_config::alias::PayloadOf<Types>;
pub type Membership = openraft::Membership<u64, Member>;
pub type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
