//! The methods of `dict`, and the views that `keys`, `values` and `items` return.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::{Args, type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::repr::repr;
use super::strings::key_error;
use super::value::{Dict, Key, Object, Value};

/// The names of the methods.
pub const NAMES: &[&str] =
    &["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

/// `dict.name(…)` for one of `NAMES`.
pub fn call(interpreter: &mut Interpreter, dict: &Rc<RefCell<Dict>>, name: &str, args: Args) -> Result<Value> {
    match name {
        "clear" => {
            args.exact::<0>(name)?;
            let removed = std::mem::take(&mut *dict.borrow_mut());
            drop(removed);
            Ok(Value::None)
        }
        "copy" => {
            args.exact::<0>(name)?;
            Ok(Value::dict(dict.borrow().clone()))
        }
        "get" => {
            let (key, default) = by_place(args, name)?;
            let found = dict.borrow().get(&Key::new(key)?).cloned();
            Ok(found.or(default).unwrap_or(Value::None))
        }
        "items" | "keys" | "values" => {
            args.exact::<0>(name)?;
            let kind = match name {
                "items" => ViewKind::Items,
                "keys" => ViewKind::Keys,
                _ => ViewKind::Values,
            };
            Ok(Value::object(View { dict: dict.clone(), kind }))
        }
        "pop" => {
            let (key, default) = by_place(args, name)?;
            let key = Key::new(key)?;
            let removed = dict.borrow_mut().shift_remove(&key);
            removed.or(default).ok_or_else(|| key_error(key.value()))
        }
        "popitem" => {
            args.exact::<0>(name)?;
            let last = dict.borrow_mut().pop();
            match last {
                Some((key, value)) => Ok(Value::tuple([key.into_value(), value])),
                None => Err(Error::new(ErrorKind::Key, "'popitem(): dictionary is empty'").into()),
            }
        }
        "setdefault" => {
            let (key, default) = by_place(args, name)?;
            let key = Key::new(key)?;
            interpreter.charge_memory(size_of::<(Key, Value)>())?;
            Ok(dict.borrow_mut().entry(key).or_insert(default.unwrap_or(Value::None)).clone())
        }
        "update" => {
            let added = from_args(interpreter, args, name)?;
            interpreter.charge_memory(added.len() * size_of::<(Key, Value)>())?;
            dict.borrow_mut().extend(added);
            Ok(Value::None)
        }
        _ => {
            let (keys, value) = by_place(args, name)?;
            let value = value.unwrap_or(Value::None);
            let mut made = Dict::new();
            for key in iterate(interpreter, &keys)? {
                made.insert(Key::new(key)?, value.clone());
            }
            Ok(Value::dict(made))
        }
    }
}

/// Binds a key and an optional second argument, by place only.
fn by_place(args: Args, function: &str) -> Result<(Value, Option<Value>)> {
    if !args.keyword.is_empty() {
        return Err(type_error(format!("dict.{function}() takes no keyword arguments")));
    }
    let [key, default] = args.bind(function, ["key", "default"], 1)?;
    Ok((key.unwrap_or(Value::None), default))
}

/// What `dict(…)` and `dict.update(…)` take: a mapping or an iterable of pairs, and keywords.
pub fn from_args(interpreter: &mut Interpreter, args: Args, function: &str) -> Result<Dict> {
    let mut dict = Dict::new();
    if args.positional.len() > 1 {
        let given = args.positional.len();
        return Err(type_error(format!("{function} expected at most 1 argument, got {given}")));
    }
    if let Some(source) = args.positional.first() {
        if let Some(pairs) = mapping_items(interpreter, source)? {
            for (key, value) in pairs {
                dict.insert(Key::new(key)?, value);
            }
        } else {
            for (index, pair) in iterate(interpreter, source)?.into_iter().enumerate() {
                let not_a_pair = format!("cannot convert dictionary update sequence element #{index} to a sequence");
                let pair = iterate(interpreter, &pair).map_err(|_| type_error(not_a_pair))?;
                let length = pair.len();
                let [key, value]: [Value; 2] = pair.try_into().map_err(|_| {
                    value_error(format!(
                        "dictionary update sequence element #{index} has length {length}; 2 is required"
                    ))
                })?;
                dict.insert(Key::new(key)?, value);
            }
        }
    }
    for (name, value) in args.keyword {
        dict.insert(Key::str(name), value);
    }
    Ok(dict)
}

/// The items of a dict, or of an object that has `keys` and items as a mapping does; `None` for anything else.
pub fn mapping_items(interpreter: &mut Interpreter, value: &Value) -> Result<Option<Vec<(Value, Value)>>> {
    match value {
        Value::Undefined(undefined) if !undefined.chainable => Err(undefined.error()),
        Value::Dict(dict) => {
            Ok(Some(dict.borrow().iter().map(|(key, value)| (key.value().clone(), value.clone())).collect()))
        }
        Value::Object(object) if !object.is_iterator() => {
            if object.clone().get_attr(interpreter, "keys")?.is_none() {
                return Ok(None);
            }
            let Some(keys) = object.clone().iterate(interpreter)? else { return Ok(None) };
            let mut pairs = Vec::with_capacity(keys.len());
            for key in keys {
                let value = object.clone().get_item(interpreter, &key)?.ok_or_else(|| key_error(&key))?;
                pairs.push((key, value));
            }
            Ok(Some(pairs))
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ViewKind {
    Keys,
    Values,
    Items,
}

/// `dict.keys()`, `dict.values()`, `dict.items()`: they show the dict as it is now.
struct View {
    dict: Rc<RefCell<Dict>>,
    kind: ViewKind,
}

impl View {
    fn collect(&self) -> Vec<Value> {
        let dict = self.dict.borrow();
        match self.kind {
            ViewKind::Keys => dict.keys().map(|key| key.value().clone()).collect(),
            ViewKind::Values => dict.values().cloned().collect(),
            ViewKind::Items => {
                dict.iter().map(|(key, value)| Value::tuple([key.value().clone(), value.clone()])).collect()
            }
        }
    }
}

impl Object for View {
    fn type_name(&self) -> &'static str {
        match self.kind {
            ViewKind::Keys => "dict_keys",
            ViewKind::Values => "dict_values",
            ViewKind::Items => "dict_items",
        }
    }

    fn to_str(&self) -> String {
        format!("{}({})", self.type_name(), repr(&Value::list(self.collect())))
    }

    fn is_true(&self) -> bool {
        !self.dict.borrow().is_empty()
    }

    fn iterate(self: Rc<Self>, _interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(Some(self.collect()))
    }

    /// Views have a length but no items by index, so slicing one is undefined.
    fn length(&self) -> Option<usize> {
        Some(self.dict.borrow().len())
    }

    fn contains(&self, item: &Value) -> Result<Option<bool>> {
        Ok(match self.kind {
            ViewKind::Keys => Some(self.dict.borrow().contains_key(&Key::new(item.clone())?)),
            ViewKind::Values | ViewKind::Items => None,
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let Some(other) = other.as_any().downcast_ref::<Self>() else { return false };
        if self.kind == ViewKind::Values || self.kind != other.kind {
            return false;
        }
        let theirs = other.collect();
        let ours = self.collect();
        ours.len() == theirs.len() && ours.iter().all(|item| theirs.contains(item))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
