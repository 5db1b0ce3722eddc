//! What tests share: real warehouses, clusters of real processes, raw data, a collector of spans. Only ever a development dependency, so
//! it panics with what is missing instead of returning errors.
//!
//! Invariant: whatever a test process starts ends with it, and a warehouse even when that process is killed.

#[cfg(feature = "collector")]
pub mod collector;
mod duckdb;
mod fleet;
mod mount;
pub mod ports;
mod postgres;
mod process;
mod program;
mod prometheus;
pub mod smartpizza;
mod wait;

pub use duckdb::duckdb_library;
pub use fleet::{Fleet, Shape};
pub use mount::Mount;
pub use postgres::Postgres;
pub use process::Process;
pub use program::program;
pub use prometheus::prometheus_tool;
pub use wait::obtain;
