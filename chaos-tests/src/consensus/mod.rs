//! A model of replicated consensus, small enough to be read at once: Raft's elections, log replication and snapshots, with
//! disks that lose what was not synced. What the real one does on top (pre-vote, membership, pipelining) changes when entries
//! commit, not which.
//!
//! Invariant: no reply leaves before what it promises is durable, unless a bug is planted.

mod disk;
mod message;
mod replica;

pub use disk::{Base, Disk, Image, Logged, Write};
pub use message::{Body, Message};
pub use replica::{Committed, Replica};
