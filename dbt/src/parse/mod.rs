//! From a project's files to a `Manifest`: every node with its configuration, and every finding about the project.

pub mod calls;
pub mod config;
pub mod digest;
pub mod extract;
pub mod fqn;
pub mod generic_test;
pub mod python_text;
