//! An interpreter for Jinja as dbt uses it, with Python's value semantics.
//!
//! Everything here is independent of dbt projects: names such as `ref` or `adapter` come in through a context. Templates are
//! parsed once into an AST with spans (`Arc`, shared between threads) and evaluated by a tree walker; values are `Rc` and stay
//! on one thread.

pub mod access;
pub mod arguments;
pub mod ast;
mod binding;
pub mod blocks;
pub mod budget;
pub mod bytes;
pub mod compare;
pub mod dicts;
pub mod error;
pub mod filters;
pub mod format_spec;
pub mod function;
pub mod functions;
pub mod globals;
pub mod interpreter;
pub mod json;
pub mod key;
pub mod lazy;
mod lexer;
pub mod lipsum;
pub mod lists;
pub mod literal;
pub mod macros;
pub mod methods;
pub mod modules;
pub mod namespace;
mod native;
pub mod number;
pub mod numbers;
pub mod ops;
mod parser;
pub mod percent_format;
pub mod repr;
pub mod scope;
pub mod sets;
pub mod str_format;
pub mod strings;
pub mod template;
pub mod tests;
pub mod value;
pub mod visit;
pub mod yaml;

pub use budget::Limits;
pub use interpreter::Interpreter;
pub use macros::MacroDef;
pub use scope::{Resolver, UndefinedMode};
pub use template::Template;
