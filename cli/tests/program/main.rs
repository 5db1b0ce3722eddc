//! The real binary on small projects and real warehouses: what a user sees, and what is left when something dies.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod console;
mod crash;
mod interrupt;
mod leftovers;
mod lineage;
mod microbatch;
mod support;
mod tidy;
mod traces;
mod unit_tests;
mod verbs;
