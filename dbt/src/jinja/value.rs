//! Python's values, as far as templates meet them.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};
use num_bigint::BigInt;
use rust_decimal::Decimal;

use super::error::{Error, ErrorKind, Result};

/// A Python value. Lists, dicts and sets are shared and mutable as in Python; everything else is immutable. Cloning is cheap.
#[derive(Clone)]
pub enum Value {
    /// jinja2's `Undefined`; holds what was looked up, for the message.
    Undefined(Rc<Undefined>),
    None,
    Bool(bool),
    Int(i64),
    /// Only for integers that do not fit `Int`.
    BigInt(Rc<BigInt>),
    Float(f64),
    /// `decimal.Decimal`, as agate returns numbers of query results.
    Decimal(Decimal),
    Str(Rc<str>),
    Bytes(Rc<[u8]>),
    List(Rc<RefCell<Vec<Value>>>),
    Tuple(Rc<[Value]>),
    Dict(Rc<RefCell<Dict>>),
    Set(Rc<RefCell<Set>>),
    Range(Rc<Range>),
    Object(Rc<dyn Object>),
}

/// A dict keeps insertion order.
pub type Dict = IndexMap<Key, Value>;
/// A set; iteration is in insertion order, which Python leaves open.
pub type Set = IndexSet<Key>;

/// A hashable value: `1`, `1.0` and `True` are the same key. Build it with `Key::new`, which refuses unhashable values.
#[derive(Clone)]
pub struct Key(pub(super) Value);

/// `range(start, stop, step)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: i64,
    pub stop: i64,
    pub step: i64,
}

/// A failed look-up, and how it behaves when it is used further.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undefined {
    /// The name, attribute or key that was not found.
    pub name: Option<Rc<str>>,
    /// A full message that replaces jinja2's (`'x' is undefined`).
    pub hint: Option<Rc<str>>,
    /// dbt's parse-time Undefined: attributes, items and calls of it are itself again instead of errors.
    pub chainable: bool,
}

/// Arguments of a call.
#[derive(Clone, Default)]
pub struct Args {
    pub positional: Vec<Value>,
    pub keyword: Vec<(Rc<str>, Value)>,
}

/// A value with behaviour of its own: functions, macros, modules, relations, the adapter, `namespace`, `loop`, dates.
///
/// The defaults are those of a plain Python object: truthy, no attributes, not callable, not iterable, equal only to itself.
pub trait Object: Any {
    /// Python's `type(x).__name__`.
    fn type_name(&self) -> &'static str;

    /// `str(x)`
    fn to_str(&self) -> String {
        format!("<{} object>", self.type_name())
    }

    fn to_repr(&self) -> String {
        self.to_str()
    }

    fn is_true(&self) -> bool {
        true
    }

    /// `x.name`; `None` where there is no such attribute.
    fn get_attr(self: Rc<Self>, _interpreter: &mut super::Interpreter, _name: &str) -> Result<Option<Value>> {
        Ok(None)
    }

    /// `x[key]`; `None` where there is no such item.
    fn get_item(self: Rc<Self>, _interpreter: &mut super::Interpreter, _key: &Value) -> Result<Option<Value>> {
        Ok(None)
    }

    /// `{% set x.name = value %}`; only `namespace` allows it.
    fn set_attr(&self, _name: &str, _value: Value) -> Result<()> {
        Err(Error::new(ErrorKind::Type, "cannot assign attribute on non-namespace object").into())
    }

    fn is_callable(&self) -> bool {
        false
    }

    /// `x(…)`
    fn call(self: Rc<Self>, _interpreter: &mut super::Interpreter, _args: Args) -> Result<Value> {
        Err(Error::new(ErrorKind::Type, format!("'{}' object is not callable", self.type_name())).into())
    }

    /// `x.name(…)`. The default looks the attribute up and calls it.
    fn call_method(self: Rc<Self>, interpreter: &mut super::Interpreter, name: &str, args: Args) -> Result<Value> {
        let type_name = self.type_name();
        match self.get_attr(interpreter, name)? {
            Some(Value::Object(object)) => object.call(interpreter, args),
            Some(_) => Err(Error::new(ErrorKind::Type, format!("attribute '{name}' is not callable")).into()),
            None => {
                let message = format!("'{type_name} object' has no attribute '{name}'");
                Err(Error::new(ErrorKind::Undefined, message).into())
            }
        }
    }

    /// All items, for `for` and filters; `None` where the object is not iterable.
    fn iterate(self: Rc<Self>, _interpreter: &mut super::Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(None)
    }

    fn length(&self) -> Option<usize> {
        None
    }

    fn equals(&self, _other: &dyn Object) -> bool {
        false
    }

    /// A number to hash by where the object may be a dict key.
    fn hash_key(&self) -> Option<u64> {
        None
    }

    fn as_any(&self) -> &dyn Any;
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}
