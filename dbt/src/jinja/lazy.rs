//! Iterators: values that are used up as they are read, and a cursor to read any iterable item by item.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::value_error;
use super::error::Result;
use super::ops::check_size;
use super::value::{Object, Value};

type Step = Box<dyn FnMut(&mut Interpreter) -> Result<Option<Value>>>;

/// A generator, or an iterator of `itertools`.
pub struct Lazy {
    type_name: &'static str,
    step: RefCell<Step>,
}

impl Value {
    /// An iterator over what `step` returns, until it returns `None`.
    pub fn iterator(
        type_name: &'static str,
        step: impl FnMut(&mut Interpreter) -> Result<Option<Value>> + 'static,
    ) -> Self {
        Self::object(Lazy { type_name, step: RefCell::new(Box::new(step)) })
    }

    /// An iterator over items that are there already.
    pub fn generator(items: Vec<Value>) -> Self {
        let mut items = items.into_iter();
        Self::iterator("generator", move |_| Ok(items.next()))
    }
}

impl Object for Lazy {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn to_str(&self) -> String {
        format!("<{} object>", self.type_name)
    }

    fn is_iterator(&self) -> bool {
        true
    }

    fn next(self: Rc<Self>, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        interpreter.charge(1)?;
        match self.step.try_borrow_mut() {
            Ok(mut step) => step(interpreter),
            Err(_) => Err(value_error("generator already executing")),
        }
    }

    fn iterate(self: Rc<Self>, interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        let mut items = Vec::new();
        while let Some(item) = self.clone().next(interpreter)? {
            items.push(item);
            check_size(items.len())?;
        }
        Ok(Some(items))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Reads an iterable item by item, so that endless iterators can be read in part.
pub enum Cursor {
    Items(std::vec::IntoIter<Value>),
    Iterator(Rc<dyn Object>),
}

impl Cursor {
    /// `iter(x)`
    pub fn open(interpreter: &mut Interpreter, value: &Value) -> Result<Self> {
        match value {
            Value::Object(object) if object.is_iterator() => Ok(Self::Iterator(object.clone())),
            _ => Ok(Self::Items(iterate(interpreter, value)?.into_iter())),
        }
    }

    pub fn next(&mut self, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        match self {
            Self::Items(items) => Ok(items.next()),
            Self::Iterator(object) => object.clone().next(interpreter),
        }
    }
}
