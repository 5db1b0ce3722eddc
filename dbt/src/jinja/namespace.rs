//! `namespace()`: the one value whose attributes a template can assign.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Interpreter;
use super::access;
use super::arguments::Args;
use super::dicts;
use super::error::Result;
use super::value::{Dict, Key, Object, Value};

/// Attributes by name, in the order they were set.
pub struct Namespace {
    attributes: RefCell<Dict>,
    /// While its text is being written.
    writing: Cell<bool>,
}

/// Namespaces within one another whose text is written.
const DEPTH_MAX: u32 = 50;

thread_local! {
    static WRITING: Cell<u32> = const { Cell::new(0) };
}

/// `namespace(mapping_or_pairs, **attributes)`
pub fn namespace(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let attributes = dicts::from_args(interpreter, args, "dict")?;
    Ok(Value::object(Namespace { attributes: RefCell::new(attributes), writing: Cell::new(false) }))
}

impl Object for Namespace {
    fn type_name(&self) -> &'static str {
        "Namespace"
    }

    fn to_str(&self) -> String {
        // A namespace may hold itself, where Python prints dots.
        let depth = WRITING.get();
        if self.writing.get() || depth > DEPTH_MAX {
            return "<Namespace {...}>".to_owned();
        }
        WRITING.set(depth + 1);
        self.writing.set(true);
        let text = format!("<Namespace {}>", Value::dict(self.attributes.borrow().clone()).repr());
        self.writing.set(false);
        WRITING.set(depth);
        text
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(self.attributes.borrow().get(name).cloned())
    }

    fn set_attr(&self, name: &str, value: Value) -> Result<()> {
        self.attributes.borrow_mut().insert(Key::str(name), value);
        Ok(())
    }

    fn call_method(self: Rc<Self>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        let callee = access::get_attr(interpreter, &Value::Object(self), name)?;
        access::call(interpreter, &callee, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
