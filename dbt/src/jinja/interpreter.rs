//! The tree walker.

/// Evaluates templates; holds the budget and the environment. Passed to every native function and method.
pub struct Interpreter {}
