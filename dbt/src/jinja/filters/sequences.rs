//! Filters of lists, strings and mappings that take no test, filter or attribute but `join`'s.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use super::super::Interpreter;
use super::super::access::{self, iterate};
use super::super::arguments::{Args, expect_int, expect_str, type_error, value_error};
use super::super::compare::sort_by_key;
use super::super::dicts::mapping_items;
use super::super::error::{Error, ErrorKind, Result};
use super::super::lazy::Cursor;
use super::super::ops::check_size;
use super::super::repr::missing;
use super::super::value::Value;
use super::select::{Attribute, folded};

pub fn attr(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [name] = args.bind("attr", ["name"], 1)?;
    let name = expect_str(&name.unwrap_or(Value::None))?;
    match access::attribute(interpreter, &value, &name)? {
        Some(found) => Ok(found),
        None => Ok(interpreter.undefined(Some(&name), Some(missing(&value, &Value::Str(name.clone()))))),
    }
}

pub fn default(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [default, boolean] = args.bind("default", ["default_value", "boolean"], 0)?;
    let replace = value.is_undefined() || boolean.is_some_and(|flag| flag.is_true()) && !value.is_true();
    Ok(if replace { default.unwrap_or_else(|| Value::str("")) } else { value })
}

pub fn length(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("len")?;
    access::length(&value).map(Value::from)
}

pub fn list(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("list")?;
    iterate(interpreter, &value).map(Value::list)
}

pub fn items(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("items")?;
    if value.is_undefined() {
        return Ok(Value::generator(Vec::new()));
    }
    match mapping_items(interpreter, &value)? {
        Some(pairs) => Ok(Value::generator(pairs.into_iter().map(|(key, value)| Value::tuple([key, value])).collect())),
        None => Err(type_error("Can only get item pairs from a mapping.")),
    }
}

pub fn first(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("first")?;
    let mut cursor = Cursor::open(interpreter, &value)?;
    match cursor.next(interpreter)? {
        Some(item) => Ok(item),
        None => Ok(interpreter.undefined(None, Some("No first item, sequence was empty.".to_owned()))),
    }
}

pub fn last(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("last")?;
    if is_not_reversible(&value) {
        return Err(type_error(format!("'{}' object is not reversible", value.type_name())));
    }
    match iterate(interpreter, &value)?.pop() {
        Some(item) => Ok(item),
        None => Ok(interpreter.undefined(None, Some("No last item, sequence was empty.".to_owned()))),
    }
}

fn is_not_reversible(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_iterator(),
        Value::Set(_) => true,
        _ => false,
    }
}

pub fn random(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("random")?;
    let items = iterate(interpreter, &value)?;
    if items.is_empty() {
        return Ok(interpreter.undefined(None, Some("No random item, sequence was empty.".to_owned())));
    }
    // A fresh `RandomState` is seeded by the system: its hash of anything is a random number.
    let index = RandomState::new().hash_one(0_u8) % items.len() as u64;
    Ok(items[usize::try_from(index).unwrap_or(0)].clone())
}

pub fn reverse(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("reverse")?;
    if let Value::Str(text) = &value {
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut items = iterate(interpreter, &value).map_err(|_| type_error("argument must be iterable"))?;
    items.reverse();
    if is_not_reversible(&value) {
        return Ok(Value::list(items));
    }
    let mut items = items.into_iter();
    let type_name = match &value {
        Value::List(_) => "list_reverseiterator",
        Value::Dict(_) => "dict_reversekeyiterator",
        Value::Range(_) => "range_iterator",
        _ => "reversed",
    };
    Ok(Value::iterator(type_name, move |_| Ok(items.next())))
}

pub fn join(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.map_or_else(|| Rc::from(""), |separator| separator.to_str());
    let attribute = Attribute::parse(attribute.as_ref());
    let mut out = String::new();
    for (index, item) in iterate(interpreter, &value)?.into_iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&attribute.of(interpreter, item)?.to_str());
        check_size(out.len())?;
    }
    Ok(Value::from(out))
}

pub fn batch(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [count, fill] = args.bind("batch", ["linecount", "fill_with"], 1)?;
    let count = expect_int(&count.unwrap_or(Value::None))?;
    let mut rows = Vec::new();
    let mut row = Vec::new();
    for item in iterate(interpreter, &value)? {
        if i64::try_from(row.len()).is_ok_and(|length| length == count) {
            rows.push(Value::list(std::mem::take(&mut row)));
        }
        row.push(item);
    }
    if !row.is_empty() {
        if let Some(fill) = fill.filter(|fill| !fill.is_none()) {
            let width = usize::try_from(count).unwrap_or(0);
            check_size(width)?;
            if row.len() < width {
                row.resize(width, fill);
            }
        }
        rows.push(Value::list(row));
    }
    Ok(Value::generator(rows))
}

pub fn slice(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [slices, fill] = args.bind("slice", ["slices", "fill_with"], 1)?;
    let slices = expect_int(&slices.unwrap_or(Value::None))?;
    let items = iterate(interpreter, &value)?;
    if slices == 0 {
        return Err(Error::new(ErrorKind::ZeroDivision, "integer division or modulo by zero").into());
    }
    let slices = usize::try_from(slices).unwrap_or(0);
    check_size(slices)?;
    let fill = fill.filter(|fill| !fill.is_none());
    let mut rows = Vec::with_capacity(slices);
    let mut rest = items.as_slice();
    for index in 0..slices {
        let extra = index < items.len() % slices;
        let (head, tail) = rest.split_at(items.len() / slices + usize::from(extra));
        rest = tail;
        let mut row = head.to_vec();
        if !extra {
            row.extend(fill.clone());
        }
        rows.push(Value::list(row));
    }
    Ok(Value::generator(rows))
}

pub fn dictsort(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [case_sensitive, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
    let by_key = match by.as_ref().map_or(Some("key"), Value::as_str) {
        Some("key") => true,
        Some("value") => false,
        _ => return Err(value_error("You can only sort by either \"key\" or \"value\"")),
    };
    let Some(pairs) = mapping_items(interpreter, &value)? else {
        return Err(match &value {
            Value::Undefined(undefined) => undefined.error(),
            _ => type_error(format!("'{}' object has no attribute 'items'", value.type_name())),
        });
    };
    let case_sensitive = case_sensitive.is_some_and(|flag| flag.is_true());
    let keyed = pairs
        .into_iter()
        .map(|(key, item)| {
            let by = if by_key { key.clone() } else { item.clone() };
            (if case_sensitive { by } else { folded(by) }, Value::tuple([key, item]))
        })
        .collect();
    let sorted = sort_by_key(keyed, reverse.is_some_and(|flag| flag.is_true()))?;
    Ok(Value::list(sorted.into_iter().map(|(_, pair)| pair).collect::<Vec<_>>()))
}
