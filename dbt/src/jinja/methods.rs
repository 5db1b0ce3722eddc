//! Methods of the built-in types, by receiver.

use super::Interpreter;
use super::arguments::{Args, type_error};
use super::error::Result;
use super::value::Value;
use super::{bytes, dicts, lists, numbers, sets, strings};

/// Whether the type of `value` has a method of that name.
pub fn exists(value: &Value, name: &str) -> bool {
    names(value).contains(&name)
}

fn names(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Str(_) => strings::NAMES,
        Value::Bytes(_) => bytes::NAMES,
        Value::List(_) => lists::NAMES,
        Value::Tuple(_) | Value::Range(_) => lists::TUPLE_NAMES,
        Value::Dict(_) => dicts::NAMES,
        Value::Set(_) => sets::NAMES,
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => numbers::INT_NAMES,
        Value::Float(_) => numbers::FLOAT_NAMES,
        Value::Decimal(_) => numbers::DECIMAL_NAMES,
        Value::Undefined(_) | Value::None | Value::Object(_) => &[],
    }
}

/// Attributes that are no methods.
pub fn property(value: &Value, name: &str) -> Option<Value> {
    match (value, name) {
        (Value::Range(range), "start") => Some(Value::Int(range.start)),
        (Value::Range(range), "stop") => Some(Value::Int(range.stop)),
        (Value::Range(range), "step") => Some(Value::Int(range.step)),
        _ => numbers::property(value, name),
    }
}

/// `receiver.name(…)` of a method that `exists`.
pub fn call(interpreter: &mut Interpreter, receiver: &Value, name: &str, args: Args) -> Result<Value> {
    match receiver {
        Value::Str(text) => strings::call(interpreter, text, name, args),
        Value::Bytes(bytes) => bytes::call(bytes, name, args),
        Value::List(list) => lists::call_list(interpreter, list, name, args),
        Value::Tuple(_) | Value::Range(_) => lists::call_tuple(interpreter, receiver, name, args),
        Value::Dict(dict) => dicts::call(interpreter, dict, name, args),
        Value::Set(set) => sets::call(interpreter, set, name, args),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Decimal(_) => {
            numbers::call(receiver, name, args)
        }
        Value::Undefined(_) | Value::None | Value::Object(_) => {
            Err(type_error(format!("'{}' object has no method '{name}'", receiver.type_name())))
        }
    }
}
