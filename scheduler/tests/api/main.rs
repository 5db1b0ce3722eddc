//! Clients of a cluster of one, over gRPC on loopback: good and bad input for each call.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;
mod operators;
mod projects;
mod runs;
mod scaling;
mod strangers;
