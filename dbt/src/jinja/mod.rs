//! An interpreter for Jinja as dbt uses it, with Python's value semantics.
//!
//! Everything here is independent of dbt projects: names such as `ref` or `adapter` come in through a context. Templates are
//! parsed once into an AST with spans (`Arc`, shared between threads) and evaluated by a tree walker; values are `Rc` and stay
//! on one thread.

pub mod ast;
pub mod blocks;
pub mod budget;
pub mod error;
pub mod interpreter;
pub mod macros;
pub mod parser;
pub mod scope;
pub mod template;
pub mod value;

pub use budget::Limits;
pub use interpreter::Interpreter;
pub use macros::MacroDef;
pub use scope::{Resolver, UndefinedMode};
pub use template::Template;
