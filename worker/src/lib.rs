//! The worker: takes assignments from the leader, renders and runs their SQL, publishes the result exactly once, reports.
//!
//! Invariant: `execute` is the only place with an effect on the warehouse; what it is going to do is decided by the pure functions of
//! `materialize`.

pub mod warehouse;
