//! Hashable values: what may be a key of a dict or a member of a set.
//!
//! Invariant: keys that are equal as in Python (`1`, `1.0`, `True`, `Decimal("1")`) hash alike, and a `str` key hashes as its
//! `str`, so that `dict.get("name")` needs no allocation.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use indexmap::Equivalent;
use num_traits::ToPrimitive;

use super::compare::equal;
use super::error::{Error, ErrorKind, Result};
use super::value::Value;

/// A hashable value: `1`, `1.0` and `True` are the same key. Build it with `Key::new`, which refuses unhashable values.
#[derive(Clone)]
pub struct Key(Value);

impl Key {
    pub fn new(value: Value) -> Result<Self> {
        check(&value)?;
        Ok(Self(value))
    }

    pub fn str(text: impl Into<Rc<str>>) -> Self {
        Self(Value::Str(text.into()))
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    pub fn into_value(self) -> Value {
        self.0
    }

    pub fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }
}

fn check(value: &Value) -> Result<()> {
    match value {
        Value::List(_) | Value::Dict(_) | Value::Set(_) => Err(unhashable(value)),
        Value::Object(object) if object.hash_key().is_none() => Err(unhashable(value)),
        Value::Tuple(items) => items.iter().try_for_each(check),
        _ => Ok(()),
    }
}

fn unhashable(value: &Value) -> super::error::Interrupt {
    Error::new(ErrorKind::Type, format!("unhashable type: '{}'", value.type_name())).into()
}

fn hash_float<H: Hasher>(number: f64, state: &mut H) {
    if number.fract() == 0.0 && number.abs() < 9.0e18 {
        state.write_i64(number as i64);
    } else {
        state.write_u64(number.to_bits());
    }
}

fn hash_value<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Str(text) => text.hash(state),
        Value::Bool(flag) => state.write_i64(i64::from(*flag)),
        Value::Int(number) => state.write_i64(*number),
        Value::BigInt(number) => hash_float(number.to_f64().unwrap_or(f64::INFINITY), state),
        Value::Float(number) => hash_float(*number, state),
        Value::Decimal(number) => hash_float(number.to_f64().unwrap_or(f64::INFINITY), state),
        Value::Bytes(bytes) => bytes.hash(state),
        Value::Tuple(items) => {
            state.write_usize(items.len());
            items.iter().for_each(|item| hash_value(item, state));
        }
        Value::Range(range) => state.write_u64(range.length()),
        Value::Object(object) => state.write_u64(object.hash_key().unwrap_or_default()),
        Value::Undefined(_) | Value::None | Value::List(_) | Value::Dict(_) | Value::Set(_) => state.write_u8(0),
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_value(&self.0, state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key.as_str() == Some(self)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}
