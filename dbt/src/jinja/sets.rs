//! The methods of `set`.

use std::cell::RefCell;
use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::Args;
use super::error::{Error, ErrorKind, Result};
use super::strings::key_error;
use super::value::{Key, Set, Value};

/// The names of the methods.
pub const NAMES: &[&str] = &[
    "add",
    "clear",
    "copy",
    "difference",
    "difference_update",
    "discard",
    "intersection",
    "intersection_update",
    "isdisjoint",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
    "symmetric_difference_update",
    "union",
    "update",
];

/// `set(items)`
pub fn from_items(interpreter: &mut Interpreter, items: &Value) -> Result<Set> {
    let items = iterate(interpreter, items)?;
    interpreter.charge_memory(items.len() * size_of::<Key>())?;
    items.into_iter().map(Key::new).collect()
}

/// `set.name(…)` for one of `NAMES`.
pub fn call(interpreter: &mut Interpreter, set: &Rc<RefCell<Set>>, name: &str, args: Args) -> Result<Value> {
    match name {
        "add" => {
            let [item] = args.exact(name)?;
            interpreter.charge_memory(size_of::<Key>())?;
            set.borrow_mut().insert(Key::new(item)?);
            Ok(Value::None)
        }
        "discard" => {
            let [item] = args.exact(name)?;
            set.borrow_mut().shift_remove(&Key::new(item)?);
            Ok(Value::None)
        }
        "remove" => {
            let [item] = args.exact(name)?;
            let key = Key::new(item)?;
            if set.borrow_mut().shift_remove(&key) { Ok(Value::None) } else { Err(key_error(key.value())) }
        }
        "clear" => {
            args.exact::<0>(name)?;
            set.borrow_mut().clear();
            Ok(Value::None)
        }
        "copy" => {
            args.exact::<0>(name)?;
            Ok(Value::set(set.borrow().clone()))
        }
        "pop" => {
            args.exact::<0>(name)?;
            let first = set.borrow_mut().shift_remove_index(0);
            match first {
                Some(key) => Ok(key.into_value()),
                None => Err(Error::new(ErrorKind::Key, "'pop from an empty set'").into()),
            }
        }
        "isdisjoint" | "issubset" | "issuperset" => {
            let [other] = args.exact(name)?;
            let other = from_items(interpreter, &other)?;
            let set = set.borrow();
            Ok(Value::Bool(match name {
                "isdisjoint" => set.is_disjoint(&other),
                "issubset" => set.is_subset(&other),
                _ => set.is_superset(&other),
            }))
        }
        _ => {
            let mut result = set.borrow().clone();
            if name.starts_with("symmetric") {
                let [other] = args.exact(name)?;
                let other = from_items(interpreter, &other)?;
                result = result.symmetric_difference(&other).cloned().collect();
            } else {
                for other in &args.positional {
                    let other = from_items(interpreter, other)?;
                    match name {
                        "difference" | "difference_update" => result.retain(|key| !other.contains(key)),
                        "intersection" | "intersection_update" => result.retain(|key| other.contains(key)),
                        _ => result.extend(other),
                    }
                }
            }
            if name.ends_with("update") {
                *set.borrow_mut() = result;
                return Ok(Value::None);
            }
            Ok(Value::set(result))
        }
    }
}
