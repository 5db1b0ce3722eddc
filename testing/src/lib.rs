//! Real warehouses for tests. Only ever a development dependency, so it panics with what is missing instead of returning errors.
//!
//! Invariant: whatever a test process starts ends with it, even when it is killed.

mod duckdb;
mod postgres;

pub use duckdb::duckdb_library;
pub use postgres::Postgres;
