//! Callables that are not macros: native functions, and methods bound to their receiver.

use std::any::Any;
use std::rc::Rc;

use super::Interpreter;
use super::arguments::Args;
use super::error::Result;
use super::value::{Object, Value};

type Native = Box<dyn Fn(&mut Interpreter, Args) -> Result<Value>>;

/// A function written in Rust.
pub struct Function {
    name: &'static str,
    call: Native,
}

impl Function {
    pub fn new(name: &'static str, call: impl Fn(&mut Interpreter, Args) -> Result<Value> + 'static) -> Self {
        Self { name, call: Box::new(call) }
    }
}

impl Object for Function {
    fn type_name(&self) -> &'static str {
        "function"
    }

    fn to_str(&self) -> String {
        format!("<function {}>", self.name)
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        (self.call)(interpreter, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A method of a built-in type with its receiver: `x.append`.
pub struct BoundMethod {
    pub receiver: Value,
    pub name: Rc<str>,
}

impl Object for BoundMethod {
    fn type_name(&self) -> &'static str {
        "builtin_function_or_method"
    }

    fn to_str(&self) -> String {
        format!("<built-in method {} of {} object>", self.name, self.receiver.type_name())
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        super::methods::call(interpreter, &self.receiver, &self.name, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A class of Python's library: calling it makes an instance; its attributes are class methods and constants.
pub struct Class {
    name: &'static str,
    construct: fn(&mut Interpreter, Args) -> Result<Value>,
    attribute: fn(&mut Interpreter, &str) -> Option<Value>,
}

impl Class {
    pub fn new(
        name: &'static str,
        construct: fn(&mut Interpreter, Args) -> Result<Value>,
        attribute: fn(&mut Interpreter, &str) -> Option<Value>,
    ) -> Self {
        Self { name, construct, attribute }
    }
}

impl Object for Class {
    fn type_name(&self) -> &'static str {
        "type"
    }

    fn to_str(&self) -> String {
        format!("<class '{}'>", self.name)
    }

    fn get_attr(self: Rc<Self>, interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok((self.attribute)(interpreter, name))
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        (self.construct)(interpreter, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
