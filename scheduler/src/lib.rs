//! The scheduler: which task runs where and when, decided by a pure state machine over a durable log.
//!
//! ```text
//!   WorkerMessage, Submission ──▶ Leader ──▶ store (append, fdatasync) ──▶ State::apply ──▶ replies, messages, updates
//!                                   ▲                                          │
//!                                   └──────────── leader::tick ◀───────────────┘
//! ```
//!
//! Invariants: nothing in `state/` or `leader/` awaits, blocks, reads a clock or a random number, or touches a file; nothing is
//! answered before its entry is on disk.

pub mod access;
pub mod alerts;
pub mod api;
pub mod backup;
pub mod durations;
pub mod entry;
pub mod leader;
pub mod lineage;
pub mod local;
pub mod metrics;
pub mod priority;
pub mod raft;
pub mod replica;
pub mod schedules;
pub mod state;
pub mod store;
pub mod trace;

pub use entry::{LogEntry, Proposer};
pub use state::{Applied, Command, Event, Rejection, Reply, State};
