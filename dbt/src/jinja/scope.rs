//! Names: what a template sees from outside.

use super::value::Value;

/// The context of a template or of a macro's package: every name that the template does not define itself. jinja2's own globals
/// (`range`, `dict`, `namespace`, …) need not be in it; a resolver that has one of their names hides them.
pub trait Resolver {
    fn resolve(&self, name: &str) -> Option<Value>;
}

/// How failed look-ups behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UndefinedMode {
    /// jinja2's default: printing and testing are fine, attributes, calls and arithmetic are errors. dbt compiles so, and runs
    /// the bodies of macros so even while parsing.
    #[default]
    Default,
    /// Attributes, items and calls are undefined again. dbt renders models, tests and hooks so while parsing.
    Chainable,
}
