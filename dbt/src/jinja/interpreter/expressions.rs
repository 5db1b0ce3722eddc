//! Evaluation of expressions.

use std::rc::Rc;

use super::statements::place;
use super::{Interpreter, Locals, TRACE_MAX};
use crate::jinja::access;
use crate::jinja::arguments::{Args, type_error};
use crate::jinja::ast::{Call, CallArgs, CompareOp, Expr, ExprKind, Literal, Name};
use crate::jinja::compare::compare;
use crate::jinja::error::{Error, ErrorKind, Interrupt, Result, Span};
use crate::jinja::scope::UndefinedMode;
use crate::jinja::value::{Dict, Key, Undefined, Value};
use crate::jinja::{filters, native, ops, repr, tests};

impl Interpreter {
    pub(in crate::jinja) fn expr(&mut self, expr: &Expr, locals: &Rc<Locals>) -> Result<Value> {
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(constant(literal)),
            ExprKind::Name(name) => Ok(self.name(name, locals)),
            _ => match self.compound(expr, locals) {
                Err(Interrupt::Error(error)) if error.span.is_none() => {
                    Err(place(Interrupt::Error(error), expr.span, locals))
                }
                result => result,
            },
        }
    }

    fn compound(&mut self, expr: &Expr, locals: &Rc<Locals>) -> Result<Value> {
        self.step()?;
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(constant(literal)),
            ExprKind::Name(name) => Ok(self.name(name, locals)),
            ExprKind::Captured => Ok(self.captured.last().cloned().unwrap_or_else(|| Value::str(""))),
            ExprKind::Tuple(items) => self.exprs(items, locals).map(Value::tuple),
            ExprKind::List(items) => self.exprs(items, locals).map(Value::list),
            ExprKind::Dict(items) => self.dict(items, locals),
            ExprKind::Not(operand) => Ok(Value::Bool(!self.expr(operand, locals)?.is_true())),
            ExprKind::Unary(op, operand) => {
                let operand = self.expr(operand, locals)?;
                ops::unary(*op, &operand)
            }
            ExprKind::Binary(op, left, right) => {
                let left = self.expr(left, locals)?;
                let right = self.expr(right, locals)?;
                let value = ops::binary(*op, &left, &right)?;
                self.charge_value(&value)?;
                Ok(value)
            }
            ExprKind::And(left, right) => {
                let left = self.expr(left, locals)?;
                if left.is_true() { self.expr(right, locals) } else { Ok(left) }
            }
            ExprKind::Or(left, right) => {
                let left = self.expr(left, locals)?;
                if left.is_true() { Ok(left) } else { self.expr(right, locals) }
            }
            ExprKind::Concat(parts) => self.concat(parts, locals),
            ExprKind::Compare { first, rest } => self.comparison(first, rest, locals),
            ExprKind::Conditional { test, then, otherwise } => {
                if self.expr(test, locals)?.is_true() {
                    return self.expr(then, locals);
                }
                match otherwise {
                    Some(otherwise) => self.expr(otherwise, locals),
                    None => Ok(without_else(expr.span)),
                }
            }
            ExprKind::Attr { object, name } => {
                let object = self.expr(object, locals)?;
                access::get_attr(self, &object, name)
            }
            ExprKind::Item { object, key } => self.item(object, key, locals),
            // Outside of a subscript the grammar has no slices; several in one make a tuple that nothing takes as a key.
            ExprKind::Slice { .. } => Ok(self.undefined(None, Some("a slice is no key".to_owned()))),
            ExprKind::Call(call) => self.call_node(call, expr.span, locals, None),
            ExprKind::Filter { operand, name, args } => self.filter(operand, name, args, locals),
            ExprKind::Test { operand, name, args } => self.test(operand, name, args, locals),
        }
    }

    fn name(&mut self, name: &Name, locals: &Rc<Locals>) -> Value {
        match self.read(locals, name.slot, &name.name) {
            Some(value) => value,
            None => self.undefined(Some(&name.name), None),
        }
    }

    fn exprs(&mut self, items: &[Expr], locals: &Rc<Locals>) -> Result<Vec<Value>> {
        self.charge_memory(size_of_val(items))?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.expr(item, locals)?);
        }
        Ok(values)
    }

    fn dict(&mut self, items: &[(Expr, Expr)], locals: &Rc<Locals>) -> Result<Value> {
        self.charge_memory(size_of_val(items))?;
        let mut dict = Dict::with_capacity(items.len());
        for (key, value) in items {
            let key = self.expr(key, locals)?;
            let value = self.expr(value, locals)?;
            dict.insert(Key::new(key)?, value);
        }
        Ok(Value::dict(dict))
    }

    fn concat(&mut self, parts: &[Expr], locals: &Rc<Locals>) -> Result<Value> {
        let mut text = String::new();
        for part in parts {
            match self.expr(part, locals)? {
                Value::Str(part) => text.push_str(&part),
                value => text.push_str(&repr::to_str(&value)),
            }
            self.charge_memory(text.len() / parts.len())?;
        }
        Ok(Value::from(text))
    }

    fn comparison(&mut self, first: &Expr, rest: &[(CompareOp, Expr)], locals: &Rc<Locals>) -> Result<Value> {
        let mut left = self.expr(first, locals)?;
        for (op, right) in rest {
            let right = self.expr(right, locals)?;
            if !compare(self, *op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn item(&mut self, object: &Expr, key: &Expr, locals: &Rc<Locals>) -> Result<Value> {
        let object = self.expr(object, locals)?;
        let ExprKind::Slice { start, stop, step } = &key.kind else {
            let key = self.expr(key, locals)?;
            return access::get_item(self, &object, &key);
        };
        let mut bounds = [Value::None, Value::None, Value::None];
        for (bound, part) in bounds.iter_mut().zip([start, stop, step]) {
            if let Some(part) = part {
                *bound = self.expr(part, locals)?;
            }
        }
        match access::slice(self, &object, &bounds[0], &bounds[1], &bounds[2])? {
            Some(value) => Ok(value),
            None if matches!(object, Value::Dict(_)) => Err(type_error("unhashable type: 'slice'")),
            None => Err(type_error(format!("'{}' object is not subscriptable", object.type_name()))),
        }
    }

    /// A call; `caller` is the body of a call block.
    pub(super) fn call_node(
        &mut self,
        call: &Call,
        span: Span,
        locals: &Rc<Locals>,
        caller: Option<Value>,
    ) -> Result<Value> {
        let result = match &call.callee.kind {
            ExprKind::Attr { object, name } => {
                let object = self.expr(object, locals)?;
                let args = self.args(&call.args, locals, caller)?;
                self.method(&object, name, args)
            }
            _ => {
                let callee = self.expr(&call.callee, locals)?;
                let args = self.args(&call.args, locals, caller)?;
                access::call(self, &callee, args)
            }
        };
        match result {
            Ok(value) => {
                self.charge_value(&value)?;
                Ok(value)
            }
            Err(Interrupt::Error(mut error)) => {
                // An error that has its place comes from a macro inside: this is where that macro was called.
                if error.span.is_some() && error.trace.len() < TRACE_MAX {
                    error.trace.push((locals.context.template.clone(), span));
                }
                Err(Interrupt::Error(error))
            }
            Err(interrupt) => Err(interrupt),
        }
    }

    fn method(&mut self, object: &Value, name: &str, args: Args) -> Result<Value> {
        match access::call_method(self, object, name, args) {
            // An object without that method is undefined there; while parsing, calling that is undefined again.
            Err(Interrupt::Error(error))
                if error.kind == ErrorKind::Undefined
                    && error.span.is_none()
                    && self.undefined_mode == UndefinedMode::Chainable =>
            {
                Ok(self.undefined(Some(name), None))
            }
            result => result,
        }
    }

    fn args(&mut self, args: &CallArgs, locals: &Rc<Locals>, caller: Option<Value>) -> Result<Args> {
        let mut positional = self.exprs(&args.positional, locals)?;
        let mut keyword = Vec::with_capacity(args.keyword.len() + usize::from(caller.is_some()));
        for (name, value) in &args.keyword {
            keyword.push((Rc::from(&**name), self.expr(value, locals)?));
        }
        if let Some(caller) = caller {
            keyword.push(("caller".into(), caller));
        }
        if let Some(star) = &args.star {
            let values = self.expr(star, locals)?;
            positional.extend(
                self.items(&values, || format!("Value after * must be an iterable, not {}", values.type_name()))?,
            );
        }
        if let Some(double_star) = &args.double_star {
            let values = self.expr(double_star, locals)?;
            self.keyword_args(&values, &mut keyword)?;
        }
        Ok(Args { positional, keyword })
    }

    fn keyword_args(&mut self, values: &Value, keyword: &mut Vec<(Rc<str>, Value)>) -> Result<()> {
        let pairs: Vec<(Value, Value)> = match values {
            Value::Dict(dict) => {
                dict.borrow().iter().map(|(key, value)| (key.value().clone(), value.clone())).collect()
            }
            Value::Object(_) => {
                let mut pairs = Vec::new();
                for key in access::iterate(self, values)? {
                    let value = access::get_item(self, values, &key)?;
                    pairs.push((key, value));
                }
                pairs
            }
            Value::Undefined(undefined) if undefined.chainable => Vec::new(),
            Value::Undefined(undefined) => return Err(undefined.error()),
            other => {
                let kind = other.type_name();
                return Err(type_error(format!("argument after ** must be a mapping, not {kind}")));
            }
        };
        for (key, value) in pairs {
            let Value::Str(key) = key else { return Err(type_error("keywords must be strings")) };
            if keyword.iter().any(|(name, _)| *name == key) {
                return Err(type_error(format!("got multiple values for keyword argument '{key}'")));
            }
            keyword.push((key, value));
        }
        Ok(())
    }

    /// All items of an iterable; what is none is a `TypeError` in the words of whoever iterates.
    pub(in crate::jinja) fn items(&mut self, value: &Value, message: impl FnOnce() -> String) -> Result<Vec<Value>> {
        access::iterate(self, value).map_err(|interrupt| match interrupt {
            Interrupt::Error(error) if error.kind == ErrorKind::Type && error.span.is_none() => type_error(message()),
            other => other,
        })
    }

    fn filter(&mut self, operand: &Expr, name: &str, args: &CallArgs, locals: &Rc<Locals>) -> Result<Value> {
        let native = if self.native { native::filter(name) } else { None };
        let Some(filter) = native.or_else(|| filters::get(name)) else {
            return Err(Error::new(ErrorKind::Compiler, format!("No filter named '{name}' found.")).into());
        };
        let operand = self.expr(operand, locals)?;
        let args = self.args(args, locals, None)?;
        let value = filter(self, operand, args)?;
        self.charge_value(&value)?;
        Ok(value)
    }

    fn test(&mut self, operand: &Expr, name: &str, args: &CallArgs, locals: &Rc<Locals>) -> Result<Value> {
        let Some(test) = tests::get(name) else {
            return Err(Error::new(ErrorKind::Compiler, format!("No test named '{name}' found.")).into());
        };
        let operand = self.expr(operand, locals)?;
        let args = self.args(args, locals, None)?;
        Ok(Value::Bool(test(self, &operand, args)?))
    }
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::None => Value::None,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::BigInt(digits) => match num_bigint::BigInt::parse_bytes(digits.as_bytes(), 10) {
            Some(number) => Value::integer(number),
            None => Value::Int(0),
        },
        Literal::Float(value) => Value::Float(*value),
        Literal::Str(text) => Value::str(&**text),
    }
}

/// jinja2 uses its own Undefined here even where dbt has set another.
fn without_else(span: Span) -> Value {
    let line = span.line;
    let hint = format!("the inline if-expression on line {line} evaluated to false and no else section was defined.");
    Value::Undefined(Rc::new(Undefined { name: None, hint: Some(hint.into()), chainable: false }))
}
