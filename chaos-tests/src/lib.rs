//! Simulation of a replicated scheduler and its workers under faults, and the invariants it checks.
//!
//! One seed decides everything: which message arrives when, who dies, what the disk forgets. The scheduler's state machine and
//! leader are the real ones; consensus, disks, networks, clocks, workers and the warehouse are small models that fail on purpose.
//!
//! Invariant: nothing here reads a clock or a random number: the same seed gives the same history, step by step.

pub mod client;
pub mod consensus;
pub mod dice;
pub mod judge;
pub mod member;
pub mod mesh;
pub mod network;
pub mod planted;
pub mod warehouse;
pub mod worker;
pub mod world;

pub use planted::Planted;
pub use world::{Report, Violated, World, simulate};
