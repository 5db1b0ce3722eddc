//! jinja2's tests: `value is name(args)`.

use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::Args;
use super::compare::{CompareOp, compare, equal};
use super::error::Result;
use super::ops::{BinaryOp, binary};
use super::value::{Key, Value};

/// `value is name(args)`
pub type Test = fn(&mut Interpreter, &Value, Args) -> Result<bool>;

/// The test of that name.
pub fn get(name: &str) -> Option<Test> {
    Some(match name {
        "odd" => |_, value, args| remainder(value, args, 1),
        "even" => |_, value, args| remainder(value, args, 0),
        "divisibleby" => divisible,
        "defined" => |_, value, args| plain(args, !value.is_undefined()),
        "undefined" => |_, value, args| plain(args, value.is_undefined()),
        "filter" => |_, value, args| known(value, args, |name| super::filters::get(name).is_some()),
        "test" => |_, value, args| known(value, args, |name| get(name).is_some()),
        "none" => |_, value, args| plain(args, value.is_none()),
        "boolean" => |_, value, args| plain(args, matches!(value, Value::Bool(_))),
        "false" => |_, value, args| plain(args, matches!(value, Value::Bool(false))),
        "true" => |_, value, args| plain(args, matches!(value, Value::Bool(true))),
        "integer" => |_, value, args| plain(args, matches!(value, Value::Int(_) | Value::BigInt(_))),
        "float" => |_, value, args| plain(args, matches!(value, Value::Float(_))),
        "number" => |_, value, args| plain(args, is_number(value)),
        "lower" => |interpreter, value, args| cased(interpreter, value, args, "islower"),
        "upper" => |interpreter, value, args| cased(interpreter, value, args, "isupper"),
        "string" => |_, value, args| plain(args, value.type_name() == "str"),
        "mapping" => |_, value, args| plain(args, is_mapping(value)),
        "sequence" => |_, value, args| plain(args, is_sequence(value)),
        "iterable" => |interpreter, value, args| plain(args, is_iterable(interpreter, value)),
        "callable" => |_, value, args| plain(args, is_callable(value)),
        "sameas" => same_as,
        "escaped" => |_, _, args| plain(args, false),
        "in" => |interpreter, value, args| comparison(interpreter, CompareOp::In, value, args),
        "==" | "eq" | "equalto" => |interpreter, value, args| comparison(interpreter, CompareOp::Eq, value, args),
        "!=" | "ne" => |interpreter, value, args| comparison(interpreter, CompareOp::Ne, value, args),
        ">" | "gt" | "greaterthan" => |interpreter, value, args| comparison(interpreter, CompareOp::Gt, value, args),
        ">=" | "ge" => |interpreter, value, args| comparison(interpreter, CompareOp::Ge, value, args),
        "<" | "lt" | "lessthan" => |interpreter, value, args| comparison(interpreter, CompareOp::Lt, value, args),
        "<=" | "le" => |interpreter, value, args| comparison(interpreter, CompareOp::Le, value, args),
        _ => return None,
    })
}

fn is_mapping(value: &Value) -> bool {
    match value {
        Value::Dict(_) => true,
        Value::Object(object) => object.is_mapping(),
        _ => false,
    }
}

/// The answer of a test without arguments.
fn plain(args: Args, answer: bool) -> Result<bool> {
    args.exact::<0>("test")?;
    Ok(answer)
}

/// Whether a name is among those of a table, which only hashable values can be asked for.
fn known(value: &Value, args: Args, contains: impl Fn(&str) -> bool) -> Result<bool> {
    args.exact::<0>("test")?;
    Key::new(value.clone())?;
    Ok(value.as_str().is_some_and(contains))
}

fn comparison(interpreter: &mut Interpreter, op: CompareOp, value: &Value, args: Args) -> Result<bool> {
    let [other] = args.exact("test")?;
    compare(interpreter, op, value, &other)
}

fn remainder(value: &Value, args: Args, wanted: i64) -> Result<bool> {
    args.exact::<0>("test")?;
    Ok(equal(&binary(BinaryOp::Mod, value, &Value::Int(2))?, &Value::Int(wanted)))
}

fn divisible(_interpreter: &mut Interpreter, value: &Value, args: Args) -> Result<bool> {
    let [divisor] = args.bind("test_divisibleby", ["num"], 1)?;
    let divisor = divisor.unwrap_or(Value::None);
    Ok(equal(&binary(BinaryOp::Mod, value, &divisor)?, &Value::Int(0)))
}

fn cased(interpreter: &mut Interpreter, value: &Value, args: Args, method: &str) -> Result<bool> {
    let answer = super::strings::call(interpreter, &value.to_str(), method, args)?;
    Ok(answer.is_true())
}

/// Whether the value is one of Python's numbers.
pub fn is_number(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Decimal(_))
}

/// Whether it has a length and items.
fn is_sequence(value: &Value) -> bool {
    match value {
        Value::Str(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Tuple(_)
        | Value::Dict(_)
        | Value::Range(_)
        | Value::Undefined(_) => true,
        Value::Object(object) => object.length().is_some() && !object.type_name().starts_with("dict_"),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Decimal(_)
        | Value::Set(_) => false,
    }
}

fn is_iterable(interpreter: &mut Interpreter, value: &Value) -> bool {
    match value {
        // An iterator is not read to find out.
        Value::Object(object) => object.is_iterator() || iterate(interpreter, value).is_ok(),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Decimal(_) => false,
        _ => true,
    }
}

fn is_callable(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_callable(),
        // jinja2's class has `__call__`, if only to fail.
        Value::Undefined(_) => true,
        _ => false,
    }
}

/// Identity, as far as it can be seen: CPython shares small integers, constants of one template and short strings.
fn same_as(_interpreter: &mut Interpreter, value: &Value, args: Args) -> Result<bool> {
    let [other] = args.bind("test_sameas", ["other"], 1)?;
    Ok(match (value, &other.unwrap_or(Value::None)) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Set(a), Value::Set(b)) => Rc::ptr_eq(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b) || a.is_empty() && b.is_empty(),
        (Value::Undefined(a), Value::Undefined(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        _ => false,
    })
}
