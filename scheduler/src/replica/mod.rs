//! The shell around one replica: openraft, the state, and while it leads a leader.
//!
//! ```text
//!   propose, sessions, tick ─▶ Leader ─▶ one batch ─▶ openraft ─▶ log on a majority ─▶ apply ─▶ replies, messages, watchers
//!   read, watch             ─▶ State ◀───────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: nothing is answered before its entry is committed; an outcome that is not known is said to be unknown, never
//! failed; a replica that cannot go on, because its disk fails or its state differs, stops and says why.

mod backup;
mod bootstrap;
mod clock;
mod config;
mod core;
mod digests;
mod error;
mod forward;
mod handle;
mod membership;
mod service;
mod session;
mod shell;
mod status;
mod watch;

pub use crate::leader::Proposal;
pub use config::{Config, Durability, Timings};
pub use error::Error;
pub use handle::{Consistency, Handle};
pub use service::{Service, raft_service};
pub use session::{Session, Uplink};
pub use status::{Member, Role, Status};

/// Opens what the data folder holds and begins to take part. Returns before the replica belongs to a cluster: a fresh one is
/// made, or an existing one joined, in the background, for which [`raft_service`] must be reachable at the advertised address.
/// A damaged log is refused here.
pub async fn start(config: Config) -> Result<Handle, Error> {
    handle::start(config).await
}
