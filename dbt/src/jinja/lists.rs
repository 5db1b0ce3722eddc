//! The methods of `list`, `tuple` and `range`.

use std::cell::RefCell;
use std::rc::Rc;

use super::Interpreter;
use super::access::{call, iterate, slice_indices};
use super::arguments::{Args, expect_int, type_error, value_error};
use super::compare::{equal, sort_by_key};
use super::error::{Error, ErrorKind, Result};
use super::ops::check_size;
use super::repr::repr;
use super::value::Value;

/// The methods of `list`.
pub const NAMES: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
/// The methods of `tuple` and `range`.
pub const TUPLE_NAMES: &[&str] = &["count", "index"];

/// `list.name(…)` for one of `NAMES`.
pub fn call_list(
    interpreter: &mut Interpreter,
    list: &Rc<RefCell<Vec<Value>>>,
    name: &str,
    args: Args,
) -> Result<Value> {
    match name {
        "append" => {
            let [item] = args.exact(name)?;
            check_size(list.borrow().len() + 1)?;
            interpreter.charge_memory(size_of::<Value>())?;
            list.borrow_mut().push(item);
        }
        "clear" => {
            args.exact::<0>(name)?;
            let removed = std::mem::take(&mut *list.borrow_mut());
            drop(removed);
        }
        "copy" => {
            args.exact::<0>(name)?;
            return Ok(Value::list(list.borrow().clone()));
        }
        "count" | "index" => {
            let items = list.borrow().clone();
            return search(&items, "list", name, args);
        }
        "extend" => {
            let [items] = args.exact(name)?;
            let items = iterate(interpreter, &items)?;
            check_size(list.borrow().len() + items.len())?;
            interpreter.charge_memory(items.len() * size_of::<Value>())?;
            list.borrow_mut().extend(items);
        }
        "insert" => {
            let [index, item] = args.exact(name)?;
            let index = expect_int(&index)?;
            let mut items = list.borrow_mut();
            check_size(items.len() + 1)?;
            let at = place(index, items.len()).unwrap_or(if index < 0 { 0 } else { items.len() });
            items.insert(at, item);
        }
        "pop" => {
            let [index] = args.bind(name, ["index"], 0)?;
            let index = index.as_ref().map(expect_int).transpose()?.unwrap_or(-1);
            let mut items = list.borrow_mut();
            let index_error = |message| Error::new(ErrorKind::Index, message);
            if items.is_empty() {
                return Err(index_error("pop from empty list").into());
            }
            let at = place(index, items.len()).ok_or_else(|| index_error("pop index out of range"))?;
            return Ok(items.remove(at));
        }
        "remove" => {
            let [item] = args.exact(name)?;
            let at = list.borrow().iter().position(|other| equal(&item, other));
            let at = at.ok_or_else(|| value_error("list.remove(x): x not in list"))?;
            let removed = list.borrow_mut().remove(at);
            drop(removed);
        }
        "reverse" => {
            args.exact::<0>(name)?;
            list.borrow_mut().reverse();
        }
        _ => {
            let [key, reverse] = bind_sort(args)?;
            let items = std::mem::take(&mut *list.borrow_mut());
            let unsorted = items.clone();
            match sorted(interpreter, items, key.as_ref(), reverse.is_some_and(|reverse| reverse.is_true())) {
                Ok(items) => *list.borrow_mut() = items,
                Err(error) => {
                    *list.borrow_mut() = unsorted;
                    return Err(error);
                }
            }
        }
    }
    Ok(Value::None)
}

fn bind_sort(args: Args) -> Result<[Option<Value>; 2]> {
    if !args.positional.is_empty() {
        let given = args.positional.len();
        return Err(type_error(format!("sort() takes no positional arguments ({given} given)")));
    }
    args.bind("sort", ["key", "reverse"], 0)
}

/// `sorted(items, key, reverse)`
pub fn sorted(
    interpreter: &mut Interpreter,
    items: Vec<Value>,
    key: Option<&Value>,
    reverse: bool,
) -> Result<Vec<Value>> {
    interpreter.charge(items.len() as u64)?;
    let mut pairs = Vec::with_capacity(items.len());
    for item in items {
        let by = match key {
            None | Some(Value::None) => item.clone(),
            Some(key) => call(interpreter, key, Args::new(vec![item.clone()]))?,
        };
        pairs.push((by, item));
    }
    Ok(sort_by_key(pairs, reverse)?.into_iter().map(|(_, item)| item).collect())
}

/// The place of an index that may count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}

/// `tuple.name(…)` and `range.name(…)` for one of `TUPLE_NAMES`.
pub fn call_tuple(interpreter: &mut Interpreter, receiver: &Value, name: &str, args: Args) -> Result<Value> {
    let items = iterate(interpreter, receiver)?;
    search(&items, receiver.type_name(), name, args)
}

fn search(items: &[Value], type_name: &str, name: &str, args: Args) -> Result<Value> {
    if name == "count" {
        let [item] = args.exact(name)?;
        return Ok(Value::from(items.iter().filter(|other| equal(&item, other)).count()));
    }
    let [item, start, stop] = args.bind(name, ["value", "start", "stop"], 1)?;
    let item = item.unwrap_or(Value::None);
    let range = slice_indices(items.len(), &start.unwrap_or(Value::None), &stop.unwrap_or(Value::None), &Value::None)?;
    match range.into_iter().find(|index| equal(&item, &items[*index])) {
        Some(index) => Ok(Value::from(index)),
        None if type_name == "tuple" => Err(value_error("tuple.index(x): x not in tuple")),
        None => Err(value_error(format!("{} is not in {type_name}", repr(&item)))),
    }
}
