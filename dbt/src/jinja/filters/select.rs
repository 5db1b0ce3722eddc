//! Filters that apply an attribute, a filter or a test to each item.

use std::any::Any;
use std::rc::Rc;

use super::super::Interpreter;
use super::super::access::{get_item, iterate};
use super::super::arguments::{Args, expect_str, type_error};
use super::super::compare::{equal, order, sort_by_key};
use super::super::error::{Error, ErrorKind, Result};
use super::super::ops::{BinaryOp, binary};
use super::super::repr::{quote, repr};
use super::super::tests;
use super::super::value::{Key, Object, Set, Value};

/// A dotted path, an index, or nothing: what jinja2's filters call `attribute`.
pub struct Attribute {
    path: Vec<Value>,
    default: Option<Value>,
}

impl Attribute {
    pub fn parse(attribute: Option<&Value>) -> Self {
        let path = match attribute {
            None | Some(Value::None) => Vec::new(),
            Some(Value::Str(path)) => path
                .split('.')
                .map(|part| match part.parse::<i64>() {
                    Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => Value::Int(index),
                    _ => Value::str(part),
                })
                .collect(),
            Some(other) => vec![other.clone()],
        };
        Self { path, default: None }
    }

    fn or_default(mut self, default: Option<Value>) -> Self {
        self.default = default.filter(|default| !default.is_none());
        self
    }

    /// The attribute of an item.
    pub fn of(&self, interpreter: &mut Interpreter, item: Value) -> Result<Value> {
        let mut value = item;
        for part in &self.path {
            value = get_item(interpreter, &value, part)?;
            if value.is_undefined()
                && let Some(default) = &self.default
            {
                value = default.clone();
            }
        }
        Ok(value)
    }
}

/// What text is compared by where case does not count.
pub fn folded(value: Value) -> Value {
    match &value {
        Value::Str(text) => Value::from(text.to_lowercase()),
        _ => value,
    }
}

fn flag(value: Option<Value>) -> bool {
    value.is_some_and(|value| value.is_true())
}

/// The items of a filter that reads nothing from what is false, `None` and undefined included.
fn items_if_true(interpreter: &mut Interpreter, value: &Value) -> Result<Vec<Value>> {
    if !value.is_true() {
        return Ok(Vec::new());
    }
    let items = iterate(interpreter, value)?;
    interpreter.charge(items.len() as u64)?;
    Ok(items)
}

pub fn map(interpreter: &mut Interpreter, value: Value, mut args: Args) -> Result<Value> {
    let items = items_if_true(interpreter, &value)?;
    if items.is_empty() {
        return Ok(Value::generator(items));
    }
    let mut mapped = Vec::with_capacity(items.len());
    if args.positional.is_empty() {
        let Some(attribute) = args.take_keyword("attribute") else {
            return Err(type_error("map requires a filter argument"));
        };
        let default = args.take_keyword("default");
        if let Some((name, _)) = args.keyword.first() {
            return Err(type_error(format!("Unexpected keyword argument {}", quote(name))));
        }
        let attribute = Attribute::parse(Some(&attribute)).or_default(default);
        for item in items {
            mapped.push(attribute.of(interpreter, item)?);
        }
    } else {
        let name = expect_str(&args.positional.remove(0))?;
        let filter = super::get(&name).ok_or_else(|| no_such("filter", &name))?;
        for item in items {
            mapped.push(filter(interpreter, item, args.clone())?);
        }
    }
    Ok(Value::generator(mapped))
}

fn no_such(what: &str, name: &str) -> Box<Error> {
    Error::new(ErrorKind::Syntax, format!("No {what} named {}.", quote(name)))
}

fn choose(
    interpreter: &mut Interpreter,
    value: &Value,
    mut args: Args,
    with_attribute: bool,
    wanted: bool,
) -> Result<Value> {
    let items = items_if_true(interpreter, value)?;
    if items.is_empty() {
        return Ok(Value::generator(items));
    }
    let attribute = if with_attribute {
        if args.positional.is_empty() {
            return Err(type_error("Missing parameter for attribute name"));
        }
        Attribute::parse(Some(&args.positional.remove(0)))
    } else {
        Attribute::parse(None)
    };
    let test = if args.positional.is_empty() {
        None
    } else {
        let name = expect_str(&args.positional.remove(0))?;
        Some(tests::get(&name).ok_or_else(|| no_such("test", &name))?)
    };
    let mut chosen = Vec::new();
    for item in items {
        let subject = attribute.of(interpreter, item.clone())?;
        let holds = match test {
            Some(test) => test(interpreter, &subject, args.clone())?,
            None => subject.is_true(),
        };
        if holds == wanted {
            chosen.push(item);
        }
    }
    Ok(Value::generator(chosen))
}

pub fn select(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    choose(interpreter, &value, args, false, true)
}

pub fn reject(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    choose(interpreter, &value, args, false, false)
}

pub fn selectattr(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    choose(interpreter, &value, args, true, true)
}

pub fn rejectattr(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    choose(interpreter, &value, args, true, false)
}

pub fn sort(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [reverse, case_sensitive, attribute] = args.bind("sort", ["reverse", "case_sensitive", "attribute"], 0)?;
    let case_sensitive = flag(case_sensitive);
    let attributes: Vec<Attribute> = match &attribute {
        Some(Value::Str(names)) => names.split(',').map(|name| Attribute::parse(Some(&Value::str(name)))).collect(),
        other => vec![Attribute::parse(other.as_ref())],
    };
    let items = iterate(interpreter, &value)?;
    interpreter.charge(items.len() as u64)?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let mut keys = Vec::with_capacity(attributes.len());
        for attribute in &attributes {
            let key = attribute.of(interpreter, item.clone())?;
            keys.push(if case_sensitive { key } else { folded(key) });
        }
        keyed.push((Value::tuple(keys), item));
    }
    let sorted = sort_by_key(keyed, flag(reverse))?;
    Ok(Value::list(sorted.into_iter().map(|(_, item)| item).collect::<Vec<_>>()))
}

pub fn unique(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [case_sensitive, attribute] = args.bind("unique", ["case_sensitive", "attribute"], 0)?;
    let case_sensitive = flag(case_sensitive);
    let attribute = Attribute::parse(attribute.as_ref());
    let mut seen = Set::new();
    let mut kept = Vec::new();
    for item in iterate(interpreter, &value)? {
        let key = attribute.of(interpreter, item.clone())?;
        if seen.insert(Key::new(if case_sensitive { key } else { folded(key) })?) {
            kept.push(item);
        }
    }
    Ok(Value::generator(kept))
}

fn extreme(interpreter: &mut Interpreter, value: &Value, args: Args, name: &str, greatest: bool) -> Result<Value> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
    let case_sensitive = flag(case_sensitive);
    let attribute = Attribute::parse(attribute.as_ref());
    let mut best: Option<(Value, Value)> = None;
    for item in iterate(interpreter, value)? {
        let key = attribute.of(interpreter, item.clone())?;
        let key = if case_sensitive { key } else { folded(key) };
        let better = match &best {
            None => true,
            Some((known, _)) if greatest => order(known, &key)?.is_lt(),
            Some((known, _)) => order(&key, known)?.is_lt(),
        };
        if better {
            best = Some((key, item));
        }
    }
    match best {
        Some((_, item)) => Ok(item),
        None => Ok(interpreter.undefined(None, Some("No aggregated item, sequence was empty.".to_owned()))),
    }
}

pub fn min(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    extreme(interpreter, &value, args, "min", false)
}

pub fn max(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    extreme(interpreter, &value, args, "max", true)
}

pub fn sum(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [attribute, start] = args.bind("sum", ["attribute", "start"], 0)?;
    let attribute = Attribute::parse(attribute.as_ref());
    let mut total = start.unwrap_or(Value::Int(0));
    if let Value::Str(_) = total {
        return Err(type_error("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    for item in iterate(interpreter, &value)? {
        let item = attribute.of(interpreter, item)?;
        total = binary(BinaryOp::Add, &total, &item)?;
    }
    Ok(total)
}

pub fn groupby(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [attribute, default, case_sensitive] = args.bind("groupby", ["attribute", "default", "case_sensitive"], 1)?;
    let case_sensitive = flag(case_sensitive);
    let attribute = Attribute::parse(attribute.as_ref()).or_default(default);
    let mut keyed = Vec::new();
    for item in iterate(interpreter, &value)? {
        let key = attribute.of(interpreter, item.clone())?;
        keyed.push((if case_sensitive { key } else { folded(key) }, item));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in sort_by_key(keyed, false)? {
        match groups.last_mut() {
            Some((known, members)) if equal(known, &key) => members.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut result = Vec::with_capacity(groups.len());
    for (key, members) in groups {
        // The key in its own case: that of the first member.
        let grouper = if case_sensitive { key } else { attribute.of(interpreter, members[0].clone())? };
        result.push(Value::object(Group { parts: Rc::new([grouper, Value::list(members)]) }));
    }
    Ok(Value::list(result))
}

/// A pair of `groupby`: a tuple whose parts also have the names `grouper` and `list`.
struct Group {
    parts: Rc<[Value; 2]>,
}

impl Object for Group {
    fn type_name(&self) -> &'static str {
        "_GroupTuple"
    }

    fn to_str(&self) -> String {
        repr(&Value::tuple(self.parts.to_vec()))
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(match name {
            "grouper" => Some(self.parts[0].clone()),
            "list" => Some(self.parts[1].clone()),
            _ => None,
        })
    }

    fn get_item(self: Rc<Self>, interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        match key {
            Value::Int(_) => super::super::access::find_item(interpreter, &Value::tuple(self.parts.to_vec()), key),
            _ => Ok(None),
        }
    }

    fn iterate(self: Rc<Self>, _interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(Some(self.parts.to_vec()))
    }

    fn length(&self) -> Option<usize> {
        Some(self.parts.len())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
