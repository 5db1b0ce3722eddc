//! Tasks from assignment to report, over real warehouses.

#![allow(clippy::unwrap_used)]

mod builds;
mod data_tests;
mod groups;
mod microbatch;
mod projects;
mod readers;
mod seeds;
mod session;
mod support;
