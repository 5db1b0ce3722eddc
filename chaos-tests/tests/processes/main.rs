//! SmartPizza on a cluster of real processes and a real PostgreSQL, while processes are killed, paused and restarted.
//!
//! Invariant: but for the second at which a tick is due (`ticks.rs`), nothing here waits for a time to pass. A fault strikes when its number of events was seen, and what must follow is awaited
//! for as long as a slow machine could need.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says then what it did")]

mod clock;
mod cluster;
mod failures;
mod fault;
mod project;
mod reader;
mod restarts;
mod seed;
mod ticks;
mod traces;
mod warehouse;
mod watch;
