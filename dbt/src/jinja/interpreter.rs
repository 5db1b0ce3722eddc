//! The tree walker.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::budget::Limits;
use super::error::{Error, ErrorKind, Result};
use super::scope::{Resolver, UndefinedMode};
use super::template::Template;
use super::value::{Args, Undefined, Value};

/// Evaluates templates; holds the budget and the environment. Passed to every native function and method.
pub struct Interpreter {
    _limits: Limits,
    canceled: Arc<AtomicBool>,
    undefined_mode: UndefinedMode,
}

impl Interpreter {
    pub fn new(limits: Limits) -> Self {
        Self { _limits: limits, canceled: Arc::default(), undefined_mode: UndefinedMode::Default }
    }

    /// Once the flag is set, rendering ends with `ErrorKind::Canceled` within a few hundred steps.
    pub fn with_cancel(mut self, canceled: Arc<AtomicBool>) -> Self {
        self.canceled = canceled;
        self
    }

    /// The text of a template.
    pub fn render(
        &mut self,
        _template: &Template,
        _resolver: &Rc<dyn Resolver>,
        _mode: UndefinedMode,
    ) -> std::result::Result<String, Box<Error>> {
        Err(Error::new(ErrorKind::Syntax, "not yet"))
    }

    /// The value of a template in dbt's native environment: a single expression keeps its type, and the filters `as_bool`,
    /// `as_native`, `as_number` and `as_text` decide how text is read.
    pub fn render_native(
        &mut self,
        _template: &Template,
        _resolver: &Rc<dyn Resolver>,
        _mode: UndefinedMode,
    ) -> std::result::Result<Value, Box<Error>> {
        Err(Error::new(ErrorKind::Syntax, "not yet"))
    }

    /// Calls a macro, a function or any other callable.
    pub fn call(&mut self, callable: &Value, args: Args) -> Result<Value> {
        match callable {
            Value::Object(object) => object.clone().call(self, args),
            _ => Err(Error::new(ErrorKind::Type, "object is not callable").into()),
        }
    }

    /// A failed look-up of `name`, in the mode of the template that runs.
    pub fn undefined(&self, name: Option<&str>, hint: Option<String>) -> Value {
        Value::Undefined(Rc::new(Undefined {
            name: name.map(Rc::from),
            hint: hint.map(Rc::from),
            chainable: self.undefined_mode == UndefinedMode::Chainable,
        }))
    }

    /// Accounts for work that a native function does: roughly one step an item.
    pub fn charge(&mut self, _steps: u64) -> Result<()> {
        Ok(())
    }

    /// Accounts for a value of about `bytes` that a native function is about to build. Call it before allocating.
    pub fn charge_memory(&mut self, _bytes: usize) -> Result<()> {
        Ok(())
    }
}
