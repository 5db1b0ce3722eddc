//! Look-ups: `x.name`, `x[key]`, slices, items of an iteration, lengths, calls of methods.
//!
//! Names that begin with an underscore are never attributes, as in jinja2's sandbox; they may still be keys of a dict.

use std::rc::Rc;

use super::Interpreter;
use super::arguments::{Args, expect_int, type_error};
use super::error::{Error, ErrorKind, Result};
use super::function::BoundMethod;
use super::methods;
use super::ops::check_size;
use super::repr::{missing, quote};
use super::value::{Key, Value};

/// `x.name`: the attribute, else the item of that name, else `None`.
pub fn find_attr(interpreter: &mut Interpreter, value: &Value, name: &str) -> Result<Option<Value>> {
    if let Some(found) = attribute(interpreter, value, name)? {
        return Ok(Some(found));
    }
    match value {
        Value::Dict(dict) => Ok(dict.borrow().get(name).cloned()),
        Value::Object(object) => object.clone().get_item(interpreter, &Value::str(name)),
        _ => Ok(None),
    }
}

/// `x.name`; what is missing is undefined.
pub fn get_attr(interpreter: &mut Interpreter, value: &Value, name: &str) -> Result<Value> {
    match find_attr(interpreter, value, name)? {
        Some(found) => Ok(found),
        None => Ok(undefined_of(interpreter, value, &Value::str(name))),
    }
}

/// `x[key]`: the item, else the attribute of that name, else `None`.
pub fn find_item(interpreter: &mut Interpreter, value: &Value, key: &Value) -> Result<Option<Value>> {
    if let Some(found) = item(interpreter, value, key)? {
        return Ok(Some(found));
    }
    match key {
        Value::Str(name) => attribute(interpreter, value, name),
        _ => Ok(None),
    }
}

/// `x[key]`; what is missing is undefined.
pub fn get_item(interpreter: &mut Interpreter, value: &Value, key: &Value) -> Result<Value> {
    match find_item(interpreter, value, key)? {
        Some(found) => Ok(found),
        None => Ok(undefined_of(interpreter, value, key)),
    }
}

fn undefined_of(interpreter: &Interpreter, value: &Value, key: &Value) -> Value {
    match key {
        Value::Str(name) if name.starts_with("__") && name.ends_with("__") => {
            let message =
                format!("access to attribute {} of {} object is unsafe.", quote(name), quote(value.type_name()));
            interpreter.undefined(Some(name), Some(message))
        }
        _ => interpreter.undefined(key.as_str(), Some(missing(value, key))),
    }
}

/// Python's `getattr`, as far as the sandbox lets it through.
pub fn attribute(interpreter: &mut Interpreter, value: &Value, name: &str) -> Result<Option<Value>> {
    if let Value::Undefined(undefined) = value {
        if !undefined.chainable {
            return Err(undefined.error());
        }
        let text = |field: &Option<Rc<str>>| field.clone().map_or(Value::None, Value::Str);
        return Ok(Some(match name {
            "name" => text(&undefined.name),
            "hint" => text(&undefined.hint),
            _ => value.clone(),
        }));
    }
    if name.starts_with('_') {
        return Ok(None);
    }
    if let Value::Object(object) = value {
        return object.clone().get_attr(interpreter, name);
    }
    if methods::exists(value, name) {
        return Ok(Some(Value::object(BoundMethod { receiver: value.clone(), name: name.into() })));
    }
    Ok(methods::property(value, name))
}

/// Python's `x[key]`; `None` for its `LookupError` and `TypeError`.
fn item(interpreter: &mut Interpreter, value: &Value, key: &Value) -> Result<Option<Value>> {
    match value {
        Value::Undefined(undefined) if undefined.chainable => Ok(Some(value.clone())),
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Dict(dict) => Ok(Key::new(key.clone()).ok().and_then(|key| dict.borrow().get(&key).cloned())),
        Value::Object(object) => object.clone().get_item(interpreter, key),
        _ => {
            let Some(index) = key.as_int() else { return Ok(None) };
            Ok(at(value, index))
        }
    }
}

/// The item of a sequence at an index that may count from the end.
fn at(value: &Value, index: i64) -> Option<Value> {
    let place = |length: usize| {
        let length = i64::try_from(length).ok()?;
        let index = if index < 0 { index + length } else { index };
        (0..length).contains(&index).then(|| usize::try_from(index).ok())?
    };
    match value {
        Value::Str(text) if text.is_ascii() => place(text.len()).map(|at| Value::str(&text[at..=at])),
        Value::Str(text) => {
            let at = place(text.chars().count())?;
            text.chars().nth(at).map(|c| Value::from(c.to_string()))
        }
        Value::Bytes(bytes) => place(bytes.len()).map(|at| Value::Int(i64::from(bytes[at]))),
        Value::List(items) => {
            let items = items.borrow();
            place(items.len()).map(|at| items[at].clone())
        }
        Value::Tuple(items) => place(items.len()).map(|at| items[at].clone()),
        Value::Range(range) => {
            let at = place(usize::try_from(range.length()).ok()?)?;
            Some(Value::Int(range.item(u64::try_from(at).ok()?)))
        }
        _ => None,
    }
}

/// The indices of `x[start:stop:step]` over a sequence of that length.
pub fn slice_indices(length: usize, start: &Value, stop: &Value, step: &Value) -> Result<Vec<usize>> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let bound = |value: &Value| match value {
        Value::None => Ok(None),
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::BigInt(number) => Ok(Some(if number.sign() == num_bigint::Sign::Minus { i64::MIN } else { i64::MAX })),
        _ => value
            .as_int()
            .map(Some)
            .ok_or_else(|| type_error("slice indices must be integers or None or have an __index__ method")),
    };
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(super::arguments::value_error("slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |index: i64| {
        let index = if index < 0 { index.saturating_add(length) } else { index };
        index.clamp(low, high)
    };
    let start = bound(start)?.map_or(if step > 0 { low } else { high }, clamp);
    let stop = bound(stop)?.map_or(if step > 0 { high } else { low }, clamp);
    let mut indices = Vec::new();
    let mut index = start;
    while if step > 0 { index < stop } else { index > stop } {
        indices.push(usize::try_from(index).expect("clamped to the sequence"));
        let Some(next) = index.checked_add(step) else { break };
        index = next;
    }
    Ok(indices)
}

/// `x[start:stop:step]`; bounds that are left out are `Value::None`. `None` where the value cannot be sliced: undefined in jinja2.
pub fn slice(
    interpreter: &mut Interpreter,
    value: &Value,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Option<Value>> {
    match value {
        Value::Undefined(undefined) if undefined.chainable => Ok(Some(value.clone())),
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            let indices = slice_indices(chars.len(), start, stop, step)?;
            Ok(Some(Value::from(indices.into_iter().map(|index| chars[index]).collect::<String>())))
        }
        Value::Bytes(bytes) => {
            let indices = slice_indices(bytes.len(), start, stop, step)?;
            Ok(Some(Value::bytes(indices.into_iter().map(|index| bytes[index]).collect::<Vec<_>>())))
        }
        Value::List(items) => {
            let items = items.borrow();
            let indices = slice_indices(items.len(), start, stop, step)?;
            Ok(Some(Value::list(indices.into_iter().map(|index| items[index].clone()).collect::<Vec<_>>())))
        }
        Value::Tuple(items) => {
            let indices = slice_indices(items.len(), start, stop, step)?;
            Ok(Some(Value::tuple(indices.into_iter().map(|index| items[index].clone()).collect::<Vec<_>>())))
        }
        Value::Range(range) => {
            let length = usize::try_from(range.length()).unwrap_or(usize::MAX);
            check_size(length)?;
            let indices = slice_indices(length, start, stop, step)?;
            let stride = expect_int(if step.is_none() { &Value::Int(1) } else { step })? * range.step;
            let item = |index: usize| range.item(u64::try_from(index).unwrap_or_default());
            let (first, last) = match (indices.first(), indices.last()) {
                (Some(first), Some(last)) => (item(*first), item(*last) + stride),
                _ => (range.start, range.start),
            };
            Ok(Some(Value::Range(Rc::new(super::value::Range { start: first, stop: last, step: stride }))))
        }
        Value::Object(object) => {
            let Some(items) = (match object.length() {
                Some(_) => object.clone().iterate(interpreter)?,
                None => None,
            }) else {
                return Ok(None);
            };
            let indices = slice_indices(items.len(), start, stop, step)?;
            Ok(Some(Value::list(indices.into_iter().map(|index| items[index].clone()).collect::<Vec<_>>())))
        }
        _ => Ok(None),
    }
}

/// All items of an iterable, or its `TypeError`. Iterators are used up by it.
pub fn iterate(interpreter: &mut Interpreter, value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Str(text) => Ok(text.chars().map(|c| Value::str(&*c.encode_utf8(&mut [0; 4]))).collect()),
        Value::Bytes(bytes) => Ok(bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect()),
        Value::List(items) => Ok(items.borrow().clone()),
        Value::Tuple(items) => Ok(items.to_vec()),
        Value::Dict(dict) => Ok(dict.borrow().keys().map(|key| key.value().clone()).collect()),
        Value::Set(set) => Ok(set.borrow().iter().map(|key| key.value().clone()).collect()),
        Value::Range(range) => {
            check_size(usize::try_from(range.length()).unwrap_or(usize::MAX))?;
            Ok((0..range.length()).map(|index| Value::Int(range.item(index))).collect())
        }
        Value::Undefined(_) => Ok(Vec::new()),
        Value::Object(object) => match object.clone().iterate(interpreter)? {
            Some(items) => Ok(items),
            None => Err(not_iterable(value)),
        },
        Value::None | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Decimal(_) => {
            Err(not_iterable(value))
        }
    }
}

fn not_iterable(value: &Value) -> super::error::Interrupt {
    type_error(format!("'{}' object is not iterable", value.type_name()))
}

/// `len(x)`
pub fn length(value: &Value) -> Result<usize> {
    match value {
        Value::Str(text) => Ok(text.chars().count()),
        Value::Bytes(bytes) => Ok(bytes.len()),
        Value::List(items) => Ok(items.borrow().len()),
        Value::Tuple(items) => Ok(items.len()),
        Value::Dict(dict) => Ok(dict.borrow().len()),
        Value::Set(set) => Ok(set.borrow().len()),
        Value::Range(range) => Ok(usize::try_from(range.length()).unwrap_or(usize::MAX)),
        Value::Undefined(_) => Ok(0),
        Value::Object(object) if object.length().is_some() => Ok(object.length().unwrap_or_default()),
        _ => Err(type_error(format!("object of type '{}' has no len()", value.type_name()))),
    }
}

/// `x(…)`
pub fn call(interpreter: &mut Interpreter, value: &Value, args: Args) -> Result<Value> {
    match value {
        Value::Object(object) => object.clone().call(interpreter, args),
        Value::Undefined(undefined) if undefined.chainable => Ok(value.clone()),
        Value::Undefined(undefined) => Err(undefined.error()),
        _ => Err(type_error(format!("'{}' object is not callable", value.type_name()))),
    }
}

/// `x.name(…)` without making a bound method first.
pub fn call_method(interpreter: &mut Interpreter, value: &Value, name: &str, args: Args) -> Result<Value> {
    if let Value::Object(object) = value {
        if name.starts_with('_') {
            // The sandbox forbids attributes, not items: `dbt_utils._is_relation` is an item of the package's dict.
            if let Some(item) = object.clone().get_item(interpreter, &Value::str(name))? {
                return call(interpreter, &item, args);
            }
            let message =
                format!("access to attribute {} of {} object is unsafe.", quote(name), quote(value.type_name()));
            return Err(Error::new(ErrorKind::Security, message).into());
        }
        return object.clone().call_method(interpreter, name, args);
    }
    if methods::exists(value, name) {
        return methods::call(interpreter, value, name, args);
    }
    let callee = get_attr(interpreter, value, name)?;
    call(interpreter, &callee, args)
}
