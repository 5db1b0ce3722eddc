//! The compiler for dbt projects.
//!
//! `parse` turns a project's files into a `Manifest` and diagnostics; `compile` renders one node's SQL with a warehouse at hand.
//! Invariant: parsing touches no warehouse and no network, and its result depends only on its arguments and on the environment
//! variables that templates read.

pub mod adapter;
pub mod artifacts;
pub mod builtin;
pub mod bundle;
pub mod cache;
pub mod compile;
pub mod context;
pub mod csv;
pub mod files;
pub mod graph;
pub mod hooks;
pub mod jinja;
pub mod packages;
pub mod parse;
pub mod profile;
pub mod project;
pub mod properties;
pub mod resolve;
pub mod select;
pub mod yaml;

pub use parse::{ParseOptions, Parsed, parse};
