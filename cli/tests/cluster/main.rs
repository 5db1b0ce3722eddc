//! A cluster of real processes on a real PostgreSQL: what a user sees, and what is left when something dies.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod alerts;
mod backup;
mod disk;
mod failover;
mod fleet;
mod freshness;
mod health;
mod hooks;
mod lineage;
mod logs;
mod metrics;
mod runs;
mod schedules;
mod sink;
#[path = "../program/support.rs"]
#[allow(dead_code, reason = "shared with the tests of one machine, which use more of it")]
mod support;
mod tls;
mod transcripts;
mod unit_tests;
mod workers;
