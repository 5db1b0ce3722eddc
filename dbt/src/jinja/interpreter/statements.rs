//! Execution of statements.

use std::rc::Rc;

use super::{Interpreter, Locals, Output};
use crate::jinja::arguments::type_error;
use crate::jinja::ast::{Expr, ExprKind, Frame, Stmt, StmtKind, Target, TargetKind};
use crate::jinja::error::{Error, ErrorKind, Interrupt, Result, Span};
use crate::jinja::namespace::Namespace;
use crate::jinja::native;
use crate::jinja::repr;
use crate::jinja::value::Value;

impl Interpreter {
    pub(in crate::jinja) fn render_body(&mut self, body: &[Stmt], locals: &Rc<Locals>) -> Result<Value> {
        let mut output = Output::text();
        self.body(body, locals, &mut output)?;
        Ok(Value::from(output.into_text()))
    }

    pub(super) fn body(&mut self, body: &[Stmt], locals: &Rc<Locals>, output: &mut Output) -> Result<()> {
        for stmt in body {
            if let StmtKind::Data(text) = &stmt.kind {
                self.charge_output(text.len())?;
                output.push(text);
                continue;
            }
            if let Err(interrupt) = self.stmt(stmt, locals, output) {
                return Err(place(interrupt, stmt.span, locals));
            }
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt, locals: &Rc<Locals>, output: &mut Output) -> Result<()> {
        self.step()?;
        match &stmt.kind {
            StmtKind::Data(text) => {
                output.push(text);
                Ok(())
            }
            StmtKind::Output(value) => self.output(value, locals, output),
            StmtKind::Do(value) => self.expr(value, locals).map(drop),
            StmtKind::If { branches, otherwise } => {
                output.flush();
                for (test, body) in branches {
                    if self.expr(test, locals)?.is_true() {
                        return self.body(body, locals, output);
                    }
                }
                self.body(otherwise, locals, output)
            }
            StmtKind::For(node) => {
                output.flush();
                self.for_loop(node, locals, output)
            }
            StmtKind::Set { target, value } => {
                self.check_namespaces(target, locals)?;
                let value = self.expr(value, locals)?;
                self.assign(target, value, locals)
            }
            StmtKind::SetBlock { target, filter, frame, body } => {
                self.check_namespaces(target, locals)?;
                let value = self.capture(filter.as_ref(), frame, body, locals)?;
                self.assign(target, value, locals)
            }
            StmtKind::With { assignments, frame, body } => {
                let inner = self.frame(frame, locals);
                for (target, value) in assignments {
                    let value = self.expr(value, locals)?;
                    self.assign(target, value, &inner)?;
                }
                self.body(body, &inner, output)
            }
            StmtKind::Filter { filter, frame, body } => {
                let value = self.capture(Some(filter), frame, body, locals)?;
                self.write_text(value, output)
            }
            StmtKind::Macro(node) => {
                let closure = self.closure(node, locals);
                locals.outward(node.slot.up).set(node.slot.index, closure);
                self.remember_cyclic(locals);
                Ok(())
            }
            StmtKind::Call { call, caller } => {
                let ExprKind::Call(call_node) = &call.kind else { return Ok(()) };
                let caller = self.closure(caller, locals);
                let value = self.call_node(call_node, call.span, locals, Some(caller));
                let value = value.map_err(|interrupt| place(interrupt, call.span, locals))?;
                self.write_text(value, output)
            }
            StmtKind::Block { frame, body, .. } => {
                let inner = self.frame(frame, &locals.outermost());
                self.body(body, &inner, output)
            }
            StmtKind::Autoescape { enabled, frame, body } => {
                let inner = self.frame(frame, locals);
                if self.expr(enabled, &inner)?.is_true() {
                    return Err(Error::new(ErrorKind::Compiler, "{% autoescape true %} is not supported").into());
                }
                self.body(body, &inner, output)
            }
            StmtKind::Load { template, .. } => {
                self.expr(template, locals)?;
                Err(type_error("no loader for this environment specified"))
            }
            StmtKind::Break => Err(Interrupt::Break),
            StmtKind::Continue => Err(Interrupt::Continue),
        }
    }

    fn output(&mut self, expr: &Expr, locals: &Rc<Locals>, output: &mut Output) -> Result<()> {
        let value = self.expr(expr, locals)?;
        if output.is_native() && native::is_constant(expr) && native::is_foldable(&value) {
            let text = repr::to_str(&value);
            self.charge_output(text.len())?;
            output.push(&text);
            return Ok(());
        }
        self.write(value, output)
    }

    fn write(&mut self, value: Value, output: &mut Output) -> Result<()> {
        if output.is_native() {
            output.push_value(value);
            return Ok(());
        }
        match &value {
            Value::Str(text) => {
                self.charge_output(text.len())?;
                output.push(text);
            }
            Value::Undefined(_) => {}
            value => {
                let text = repr::to_str(value);
                self.charge_output(text.len())?;
                output.push(&text);
            }
        }
        Ok(())
    }

    /// What a `call` or `filter` block gives is joined with the text around it as it is, so it must be text.
    fn write_text(&mut self, value: Value, output: &mut Output) -> Result<()> {
        let kind = value.type_name();
        if output.is_native() || matches!(value, Value::Str(_)) || kind == "Markup" {
            return self.write(value, output);
        }
        Err(type_error(format!("sequence item 0: expected str instance, {kind} found")))
    }

    /// The text of a block, through its filters.
    fn capture(&mut self, filter: Option<&Expr>, frame: &Frame, body: &[Stmt], locals: &Rc<Locals>) -> Result<Value> {
        let inner = self.frame(frame, locals);
        let text = self.render_body(body, &inner)?;
        let Some(filter) = filter else { return Ok(text) };
        self.captured.push(text);
        let result = self.expr(filter, &inner);
        self.captured.pop();
        result
    }

    /// jinja2 checks before it evaluates the value.
    fn check_namespaces(&mut self, target: &Target, locals: &Rc<Locals>) -> Result<()> {
        match &target.kind {
            TargetKind::Name(_) => Ok(()),
            TargetKind::Attr { object, .. } => match self.read(locals, object.slot, &object.name) {
                Some(value) if value.downcast::<Namespace>().is_some() => Ok(()),
                _ => Err(Error::new(ErrorKind::Type, "cannot assign attribute on non-namespace object").into()),
            },
            TargetKind::Tuple(items) => items.iter().try_for_each(|item| self.check_namespaces(item, locals)),
        }
    }

    pub(super) fn assign(&mut self, target: &Target, value: Value, locals: &Rc<Locals>) -> Result<()> {
        self.check_nesting(&value)?;
        match &target.kind {
            TargetKind::Name(name) => {
                locals.outward(name.slot.up).set(name.slot.index, value);
                Ok(())
            }
            TargetKind::Attr { object, attribute } => match self.read(locals, object.slot, &object.name) {
                Some(Value::Object(object)) => object.set_attr(attribute, value),
                _ => Err(Error::new(ErrorKind::Type, "cannot assign attribute on non-namespace object").into()),
            },
            TargetKind::Tuple(targets) => {
                let values = self.unpack(&value, targets.len())?;
                targets.iter().zip(values).try_for_each(|(target, value)| self.assign(target, value, locals))
            }
        }
    }

    fn unpack(&mut self, value: &Value, expected: usize) -> Result<Vec<Value>> {
        let values = self.items(value, || format!("cannot unpack non-iterable {} object", value.type_name()))?;
        let message = match values.len() {
            got if got < expected => format!("not enough values to unpack (expected {expected}, got {got})"),
            got if got > expected => format!("too many values to unpack (expected {expected})"),
            _ => return Ok(values),
        };
        Err(Error::new(ErrorKind::Value, message).into())
    }
}

/// Adds the place to an error that has none yet.
pub(super) fn place(mut interrupt: Interrupt, span: Span, locals: &Locals) -> Interrupt {
    if let Interrupt::Error(error) = &mut interrupt
        && error.span.is_none()
    {
        error.span = Some(span);
        error.template.get_or_insert_with(|| locals.context.template.clone());
    }
    interrupt
}
