//! What dbt templates see: the names, objects and functions in scope while a project is parsed and while a node runs.
//!
//! `Parsing` renders with `execute` false and records what a template asks for; `compile::Compiler` renders with a warehouse at
//! hand; `yaml::Yaml` renders the strings of YAML files. Invariant: a context reads no clock, no environment and no file of its
//! own: everything comes in through `Invocation`, so that equal arguments give equal text.

pub(crate) mod adapter;
pub(crate) mod agate;
pub(crate) mod arguments;
pub(crate) mod batch;
pub(crate) mod column;
pub(crate) mod config;
pub(crate) mod constraints;
pub mod error;
pub(crate) mod exceptions;
pub(crate) mod external;
pub(crate) mod generic_test;
pub mod invocation;
pub(crate) mod lookup;
pub(crate) mod macros;
pub(crate) mod members;
pub(crate) mod model;
pub mod parsing;
pub(crate) mod references;
pub(crate) mod relation;
pub(crate) mod rendering;
pub(crate) mod results;
pub(crate) mod run_result;
pub(crate) mod time;
pub(crate) mod unit_test;
pub(crate) mod variables;
pub mod yaml;

pub use error::Error;
pub use invocation::{Invocation, Output};
pub use parsing::{Lookups, NamePart, Parsing, Project, Recorded, Rendered};
pub use variables::SECRET_PREFIX;
pub use yaml::Yaml;
