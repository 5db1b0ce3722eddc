//! Methods of the built-in types, by receiver.

use super::Interpreter;
use super::arguments::{Args, type_error};
use super::error::Result;
use super::value::Value;

/// Whether the type of `value` has a method of that name.
pub fn exists(value: &Value, name: &str) -> bool {
    names(value).contains(&name)
}

fn names(_value: &Value) -> &'static [&'static str] {
    &[]
}

/// Attributes that are no methods.
pub fn property(_value: &Value, _name: &str) -> Result<Option<Value>> {
    Ok(None)
}

/// `receiver.name(…)` of a method that `exists`.
pub fn call(_interpreter: &mut Interpreter, receiver: &Value, name: &str, _args: Args) -> Result<Value> {
    Err(type_error(format!("'{}' object has no method '{name}'", receiver.type_name())))
}
