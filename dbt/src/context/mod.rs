//! What dbt templates see: the names, objects and functions in scope while a project is parsed and while a node runs.
//!
//! `Parsing` renders with `execute` false and records what a template asks for; `compile::Compiler` renders with a warehouse at
//! hand; `yaml::Yaml` renders the strings of YAML files. Invariant: a context reads no clock, no environment and no file of its
//! own: everything comes in through `Invocation`, so that equal arguments give equal text.

pub mod error;
pub mod invocation;
pub mod parsing;

pub use error::Error;
pub use invocation::{Invocation, Output};
pub use parsing::{NamePart, Parsing, Project, Recorded, Rendered};
