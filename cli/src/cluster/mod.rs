//! The cluster's verbs: replicas and workers as processes, and everything a client asks of them.
//!
//! Invariant: whatever a cluster says reaches the user through the console, with a code where it is a failure; dbt's verbs print the same
//! lines and end with the same codes as on this machine.

mod access;
mod alerts;
pub mod args;
mod connect;
mod context;
mod declared;
mod deploy;
mod dev;
pub mod follow;
mod pools;
mod process;
mod projects;
mod replica;
mod runs;
mod schedules;
mod server;
mod show;
mod snapshot;
mod status;
mod submit;
mod tasks;
mod time;
mod tls;
mod trace;
mod transcripts;
mod worker;
mod workers;
mod yaml;

pub use access::access;
pub use alerts::alerts;
pub use connect::{Connected, diagnostic};
pub use context::{Context, context, destination};
pub use dev::dev;
pub use projects::projects;
pub use runs::runs;
pub use schedules::{backfills, schedules};
pub use server::server;
pub use status::cluster;
pub use submit::{retry, submit};
pub use tasks::tasks;
pub use transcripts::read as read_transcripts;
pub use worker::worker;
pub use workers::workers;
