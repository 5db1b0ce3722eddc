//! Python's values, as far as templates meet them.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};
use num_bigint::BigInt;
use rust_decimal::Decimal;

pub use super::arguments::Args;
use super::error::{Error, ErrorKind, Result};
pub use super::key::Key;

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

    /// Whether Python's type of this is a `collections.abc.Mapping`.
    fn is_mapping(&self) -> bool {
        false
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

    /// Whether this is an iterator: it is used up as it is read, by `next`.
    fn is_iterator(&self) -> bool {
        false
    }

    /// The next item of an iterator; `None` at its end.
    fn next(self: Rc<Self>, _interpreter: &mut super::Interpreter) -> Result<Option<Value>> {
        Ok(None)
    }

    fn length(&self) -> Option<usize> {
        None
    }

    /// `item in x`; `None` where the object has no test of its own and its items are searched.
    fn contains(&self, _item: &Value) -> Result<Option<bool>> {
        Ok(None)
    }

    /// The order between this and an object it can be compared with; `None` makes `<` a `TypeError`.
    fn compare(&self, _other: &dyn Object) -> Result<Option<std::cmp::Ordering>> {
        Ok(None)
    }

    /// An arithmetic operator with this object on the left, or on the right (`reflected`); `None` where it has no such operator.
    fn arithmetic(&self, _op: super::ops::BinaryOp, _other: &Value, _reflected: bool) -> Result<Option<Value>> {
        Ok(None)
    }

    /// `'{:spec}'.format(x)`; `None` formats `str(x)`.
    fn format(&self, _spec: &str) -> Result<Option<String>> {
        Ok(None)
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

impl Value {
    pub fn str(text: impl Into<Rc<str>>) -> Self {
        Self::Str(text.into())
    }

    pub fn bytes(bytes: impl Into<Rc<[u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    pub fn list(items: impl Into<Vec<Value>>) -> Self {
        Self::List(Rc::new(RefCell::new(items.into())))
    }

    pub fn tuple(items: impl Into<Rc<[Value]>>) -> Self {
        Self::Tuple(items.into())
    }

    pub fn dict(dict: Dict) -> Self {
        Self::Dict(Rc::new(RefCell::new(dict)))
    }

    /// A dict whose keys are strings.
    pub fn record<K: Into<Rc<str>>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::dict(fields.into_iter().map(|(name, value)| (Key::str(name), value)).collect())
    }

    pub fn set(set: Set) -> Self {
        Self::Set(Rc::new(RefCell::new(set)))
    }

    /// The smallest representation of an integer; two equal integers are always the same variant.
    pub fn integer(number: impl Into<BigInt>) -> Self {
        let number = number.into();
        match i64::try_from(&number) {
            Ok(small) => Self::Int(small),
            Err(_) => Self::BigInt(Rc::new(number)),
        }
    }

    pub fn object(object: impl Object) -> Self {
        Self::Object(Rc::new(object))
    }

    /// A native function; `name` is for messages and its `repr`.
    pub fn function(
        name: &'static str,
        call: impl Fn(&mut super::Interpreter, Args) -> Result<Value> + 'static,
    ) -> Self {
        Self::object(super::function::Function::new(name, call))
    }

    /// The undefined of a missing name: `'name' is undefined`.
    pub fn undefined(name: impl Into<Rc<str>>) -> Self {
        Self::Undefined(Rc::new(Undefined { name: Some(name.into()), hint: None, chainable: false }))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// The native object inside, if it is a `T`.
    pub fn downcast<T: Object>(&self) -> Option<&T> {
        match self {
            Self::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// Python's `type(x).__name__`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Decimal(_) => "decimal.Decimal",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Set(_) => "set",
            Self::Range(_) => "range",
            Self::Object(object) => object.type_name(),
        }
    }

    /// `bool(x)`
    pub fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::BigInt(_) => true,
            Self::Float(number) => *number != 0.0,
            Self::Decimal(number) => !number.is_zero(),
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(items) => !items.borrow().is_empty(),
            Self::Tuple(items) => !items.is_empty(),
            Self::Dict(dict) => !dict.borrow().is_empty(),
            Self::Set(set) => !set.borrow().is_empty(),
            Self::Range(range) => range.length() != 0,
            Self::Object(object) => object.is_true(),
        }
    }

    /// `str(x)`
    pub fn to_str(&self) -> Rc<str> {
        match self {
            Self::Str(text) => text.clone(),
            _ => super::repr::to_str(self).into(),
        }
    }

    /// `repr(x)`
    pub fn repr(&self) -> String {
        super::repr::repr(self)
    }
}

impl Range {
    pub fn length(&self) -> u64 {
        let span = if self.step > 0 {
            i128::from(self.stop) - i128::from(self.start)
        } else {
            i128::from(self.start) - i128::from(self.stop)
        };
        if span <= 0 {
            return 0;
        }
        let step = i128::from(self.step).abs();
        u64::try_from((span + step - 1) / step).expect("a range of 64-bit bounds has fewer than 2^64 items")
    }

    /// The item at `index`, which must be below `length`.
    pub fn item(&self, index: u64) -> i64 {
        let value = i128::from(self.start) + i128::from(index) * i128::from(self.step);
        i64::try_from(value).expect("items of a range lie between its bounds")
    }

    pub fn contains(&self, number: i64) -> bool {
        let offset = i128::from(number) - i128::from(self.start);
        let step = i128::from(self.step);
        offset % step == 0 && offset / step >= 0 && offset / step < i128::from(self.length())
    }
}

impl Undefined {
    /// What jinja2 says when the value is used.
    pub fn message(&self) -> String {
        match (&self.hint, &self.name) {
            (Some(hint), _) => hint.to_string(),
            (None, Some(name)) => format!("{} is undefined", super::repr::quote(name)),
            (None, None) => "None is undefined".to_owned(),
        }
    }

    pub fn error(&self) -> super::error::Interrupt {
        Error::new(ErrorKind::Undefined, self.message()).into()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}

/// Equal as in Python: `1 == 1.0 == True`.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        super::compare::equal(self, other)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::str(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        Self::integer(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::list(items)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}
