//! Arguments of a call, and how native functions take them apart as Python binds parameters.

use std::rc::Rc;

use super::error::{Error, ErrorKind, Interrupt, Result};
use super::value::Value;

/// Arguments of a call.
#[derive(Clone, Default)]
pub struct Args {
    pub positional: Vec<Value>,
    pub keyword: Vec<(Rc<str>, Value)>,
}

impl Args {
    pub fn new(positional: Vec<Value>) -> Self {
        Self { positional, keyword: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.positional.is_empty() && self.keyword.is_empty()
    }

    /// Removes and returns a keyword argument.
    pub fn take_keyword(&mut self, name: &str) -> Option<Value> {
        let index = self.keyword.iter().position(|(key, _)| &**key == name)?;
        Some(self.keyword.remove(index).1)
    }

    /// Binds to parameters that can be given by place or by name; the first `required` must be given.
    pub fn bind<const N: usize>(self, function: &str, names: [&str; N], required: usize) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            let given = self.positional.len();
            let plural = if N == 1 { "" } else { "s" };
            return Err(type_error(format!(
                "{function}() takes {N} positional argument{plural} but {given} were given"
            )));
        }
        let mut bound: [Option<Value>; N] = std::array::from_fn(|_| None);
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.keyword {
            let Some(index) = names.iter().position(|known| *known == &*name) else {
                return Err(type_error(format!("{function}() got an unexpected keyword argument '{name}'")));
            };
            if bound[index].is_some() {
                return Err(type_error(format!("{function}() got multiple values for argument '{name}'")));
            }
            bound[index] = Some(value);
        }
        let missing: Vec<&str> =
            bound.iter().zip(names).take(required).filter(|(slot, _)| slot.is_none()).map(|(_, name)| name).collect();
        match missing.as_slice() {
            [] => Ok(bound),
            [name] => Err(type_error(format!("{function}() missing 1 required positional argument: '{name}'"))),
            names => {
                let list = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" and ");
                let count = names.len();
                Err(type_error(format!("{function}() missing {count} required positional arguments: {list}")))
            }
        }
    }

    /// Binds to exactly the parameters given by place.
    pub fn exact<const N: usize>(self, function: &str) -> Result<[Value; N]> {
        if let Some((name, _)) = self.keyword.first() {
            return Err(type_error(format!("{function}() got an unexpected keyword argument '{name}'")));
        }
        let given = self.positional.len();
        self.positional.try_into().map_err(|_| {
            let plural = if N == 1 { "" } else { "s" };
            type_error(format!("{function}() takes exactly {N} argument{plural} ({given} given)"))
        })
    }
}

/// A `TypeError`.
pub fn type_error(message: impl Into<String>) -> Interrupt {
    Error::new(ErrorKind::Type, message).into()
}

/// A `ValueError`.
pub fn value_error(message: impl Into<String>) -> Interrupt {
    Error::new(ErrorKind::Value, message).into()
}

/// The integer an index, count or width must be.
pub fn expect_int(value: &Value) -> Result<i64> {
    match value {
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::BigInt(_) => Err(Error::new(ErrorKind::Overflow, "Python int too large to convert to C ssize_t").into()),
        _ => value
            .as_int()
            .ok_or_else(|| type_error(format!("'{}' object cannot be interpreted as an integer", value.type_name()))),
    }
}

/// The string an argument must be.
pub fn expect_str(value: &Value) -> Result<Rc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Undefined(undefined) => Err(undefined.error()),
        _ => Err(type_error(format!("expected str, got {}", value.type_name()))),
    }
}
