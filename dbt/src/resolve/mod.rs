//! From names to nodes: `ref`, `source`, `doc`, access rules and cycles.
//!
//! Invariant: resolving never stops at the first finding, and every edge it makes points at a node that exists.

pub mod cycle;
pub mod suggest;
