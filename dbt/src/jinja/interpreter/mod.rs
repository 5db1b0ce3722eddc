//! The tree walker.
//!
//! Invariant: every statement, expression and iteration passes `step`, so that one budget bounds whatever a template does,
//! nested macros included, and so that deep recursion ends in an error long before the native stack does.

mod expressions;
mod locals;
mod loops;
mod output;
mod statements;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::Args;
use super::budget::Limits;
use super::error::{Error, ErrorKind, Interrupt, Result};
use super::globals;
use super::macros::Closure;
use super::namespace::namespace;
use super::scope::{Resolver, UndefinedMode};
use super::template::Template;
use super::value::{Undefined, Value};
pub(super) use locals::{Context, Locals};
use output::Output;

/// How often the flag of cancellation is read, in steps.
const CANCEL_CHECK_STEPS: u64 = 256;

/// Levels of lists and dicts within one another.
const NESTING_MAX: usize = 300;

/// Items of a container that are looked at for deeper ones.
const NESTING_WIDTH: usize = 16;

/// Callers that an error remembers.
const TRACE_MAX: usize = 64;

/// Evaluates templates; holds the budget and the environment. Passed to every native function and method.
pub struct Interpreter {
    limits: Limits,
    spent: Spent,
    canceled: Arc<AtomicBool>,
    /// Of the template or macro that runs.
    undefined_mode: UndefinedMode,
    /// Whether the template that runs is rendered natively, where `as_bool` and its kin do something.
    native: bool,
    globals: HashMap<&'static str, Value>,
    /// Renderings and calls from outside that are under way.
    entries: u32,
    /// Address of a local of the outermost entry.
    stack_base: usize,
    /// Text of the `set` and `filter` blocks whose filters are being applied.
    captured: Vec<Value>,
    /// Frames that hold macros, which hold them in turn: emptied at the end.
    cyclic: Vec<Rc<Locals>>,
}

/// What has been used of the limits.
#[derive(Default)]
struct Spent {
    steps: u64,
    depth: u32,
    output_bytes: usize,
    memory_bytes: usize,
}

impl Interpreter {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            spent: Spent::default(),
            canceled: Arc::default(),
            undefined_mode: UndefinedMode::Default,
            native: false,
            globals: std::iter::once(("namespace", Value::function("namespace", namespace)))
                .chain(globals::jinja())
                .collect(),
            entries: 0,
            stack_base: 0,
            captured: Vec::new(),
            cyclic: Vec::new(),
        }
    }

    /// Once the flag is set, rendering ends with `ErrorKind::Canceled` within a few hundred steps.
    pub fn with_cancel(mut self, canceled: Arc<AtomicBool>) -> Self {
        self.canceled = canceled;
        self
    }

    /// The text of a template.
    pub fn render(
        &mut self,
        template: &Template,
        resolver: &Rc<dyn Resolver>,
        mode: UndefinedMode,
    ) -> std::result::Result<String, Box<Error>> {
        let mut output = Output::text();
        self.run(template, resolver, mode, false, &mut output)?;
        Ok(output.into_text())
    }

    /// The value of a template in dbt's native environment: a single expression keeps its type, and the filters `as_bool`,
    /// `as_native`, `as_number` and `as_text` decide how text is read.
    pub fn render_native(
        &mut self,
        template: &Template,
        resolver: &Rc<dyn Resolver>,
        mode: UndefinedMode,
    ) -> std::result::Result<Value, Box<Error>> {
        let mut output = Output::native();
        self.run(template, resolver, mode, true, &mut output)?;
        output.into_value()
    }

    fn run(
        &mut self,
        template: &Template,
        resolver: &Rc<dyn Resolver>,
        mode: UndefinedMode,
        native: bool,
        output: &mut Output,
    ) -> std::result::Result<(), Box<Error>> {
        template.check()?;
        let context = Rc::new(Context { resolver: resolver.clone(), mode, template: template.name.clone() });
        let result = self.enter(|this| {
            let before = (this.undefined_mode, this.native);
            (this.undefined_mode, this.native) = (mode, native);
            let locals = Rc::new(Locals::root(&template.frame, context));
            let result = this.body(&template.body, &locals, output);
            (this.undefined_mode, this.native) = before;
            result
        });
        result.map_err(|interrupt| match interrupt {
            Interrupt::Error(error) => error,
            Interrupt::Return(_) => {
                let mut error = Error::new(ErrorKind::Compiler, "return() was called outside of a macro");
                error.template = Some(template.name.clone());
                error
            }
            Interrupt::Break | Interrupt::Continue => Error::new(ErrorKind::Syntax, "'break' outside loop"),
        })
    }

    /// Calls a macro, a function or any other callable.
    pub fn call(&mut self, callable: &Value, args: Args) -> Result<Value> {
        self.enter(|this| super::access::call(this, callable, args))
    }

    /// Budgets count from the outermost entry; frames that macros keep alive are let go at its end.
    fn enter<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.entries == 0 {
            let marker = 0u8;
            self.stack_base = std::ptr::from_ref(&marker).addr();
            self.spent = Spent::default();
        }
        self.entries += 1;
        let result = run(self);
        self.entries -= 1;
        if self.entries == 0 {
            self.captured.clear();
            for locals in std::mem::take(&mut self.cyclic) {
                locals.clear();
            }
        }
        result
    }

    /// Runs the body of a macro one level deeper, in the environment of the template that defines it.
    pub(super) fn in_macro<T>(&mut self, context: &Context, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.spent.depth >= self.limits.depth {
            return Err(exhausted(format!("macros called one another more than {} levels deep", self.limits.depth)));
        }
        self.spent.depth += 1;
        let mode = std::mem::replace(&mut self.undefined_mode, context.mode);
        let result = run(self);
        self.undefined_mode = mode;
        self.spent.depth -= 1;
        result
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
    pub fn charge(&mut self, steps: u64) -> Result<()> {
        let before = self.spent.steps;
        self.spent.steps = before.saturating_add(steps);
        if self.spent.steps > self.limits.steps {
            return Err(exhausted(format!("the template took more than {} steps", self.limits.steps)));
        }
        if before / CANCEL_CHECK_STEPS != self.spent.steps / CANCEL_CHECK_STEPS && self.canceled.load(Ordering::Relaxed)
        {
            return Err(Error::new(ErrorKind::Canceled, "canceled while rendering").into());
        }
        Ok(())
    }

    /// Accounts for a value of about `bytes` that a native function is about to build. Call it before allocating.
    pub fn charge_memory(&mut self, bytes: usize) -> Result<()> {
        self.spent.memory_bytes = self.spent.memory_bytes.saturating_add(bytes);
        if self.spent.memory_bytes > self.limits.memory_bytes {
            return Err(exhausted(format!(
                "the template built values of more than {} bytes",
                self.limits.memory_bytes
            )));
        }
        Ok(())
    }

    /// One statement or expression: checks all that could run away.
    fn step(&mut self) -> Result<()> {
        let marker = 0u8;
        if self.stack_base.abs_diff(std::ptr::from_ref(&marker).addr()) > self.limits.stack_bytes {
            return Err(exhausted("the template recursed too deeply".to_owned()));
        }
        self.charge(1)
    }

    fn charge_output(&mut self, bytes: usize) -> Result<()> {
        self.spent.output_bytes = self.spent.output_bytes.saturating_add(bytes);
        if self.spent.output_bytes > self.limits.output_bytes {
            return Err(exhausted(format!("the template wrote more than {} bytes", self.limits.output_bytes)));
        }
        Ok(())
    }

    /// Accounts for a value that an operation built, where it may be large.
    fn charge_value(&mut self, value: &Value) -> Result<()> {
        let bytes = match value {
            Value::Str(text) => text.len(),
            Value::List(items) => items.borrow().len() * size_of::<Value>(),
            Value::Tuple(items) => items.len() * size_of::<Value>(),
            _ => 0,
        };
        if bytes > 1024 { self.charge_memory(bytes) } else { Ok(()) }
    }

    /// Refuses values nested so deeply that dropping them could exhaust the stack. Checked where values are assigned, since a
    /// loop can only nest further what it keeps.
    fn check_nesting(&self, value: &Value) -> Result<()> {
        let mut inner = match inner_container(value) {
            Some(inner) => inner,
            None => return Ok(()),
        };
        for _ in 0..NESTING_MAX {
            match inner_container(&inner) {
                Some(next) => inner = next,
                None => return Ok(()),
            }
        }
        Err(exhausted(format!("the template nested values more than {NESTING_MAX} levels deep")))
    }

    fn remember_cyclic(&mut self, locals: &Rc<Locals>) {
        if !self.cyclic.last().is_some_and(|last| Rc::ptr_eq(last, locals)) {
            self.cyclic.push(locals.clone());
        }
    }

    fn closure(&mut self, node: &Arc<super::ast::Macro>, locals: &Rc<Locals>) -> Value {
        Value::object(Closure::new(node.clone(), locals.clone()))
    }
}

fn exhausted(message: String) -> Interrupt {
    Error::new(ErrorKind::Budget, message).into()
}

/// The first container among the first items of a container.
fn inner_container(value: &Value) -> Option<Value> {
    let is_container = |value: &&Value| matches!(value, Value::List(_) | Value::Tuple(_) | Value::Dict(_));
    match value {
        Value::List(items) => items.borrow().iter().take(NESTING_WIDTH).find(is_container).cloned(),
        Value::Tuple(items) => items.iter().take(NESTING_WIDTH).find(is_container).cloned(),
        Value::Dict(dict) => dict.borrow().values().take(NESTING_WIDTH).find(is_container).cloned(),
        _ => None,
    }
}
