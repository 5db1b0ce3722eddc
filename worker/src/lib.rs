//! The worker: takes assignments from the leader, renders and runs their SQL, publishes the result exactly once, reports.
//!
//! ```text
//! leader ── LeaderMessage ──▶ session ── Job ──▶ slots (a thread and a connection each) ──▶ execute ──▶ warehouse
//! leader ◀─ WorkerMessage ─── session ◀─ Event ── slots
//! ```
//!
//! Invariant: `execute` is the only place with an effect on the warehouse; what it is going to do is decided by the pure functions of
//! `materialize`.

pub mod adapter;
pub mod cancellation;
pub mod comment;
pub mod diff;
pub mod execute;
pub mod failure;
pub mod lineage;
pub mod materialize;
pub mod metrics;
mod patience;
mod queue;
pub mod remote;
pub mod run;
pub mod seed;
pub mod session;
mod slots;
pub mod trace;
mod transcript;
pub mod warehouse;

pub use execute::execute;
pub use failure::Failure;
pub use run::{Artifacts, History, Opened, Run, Runs};
pub use session::{Config, Handle, start};
