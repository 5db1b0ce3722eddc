//! The functions that dbt gives to every template and that are pure functions of values.

use md5::{Digest, Md5};

use super::Interpreter;
use super::access::iterate;
use super::arguments::{Args, expect_str, type_error};
use super::compare::equal;
use super::dicts::mapping_items;
use super::error::{Error, ErrorKind, Interrupt, Result};
use super::modules::itertools;
use super::strings::casefold;
use super::value::{Dict, Key, Value};
use super::{json, modules, sets, yaml};

/// The functions by name, and `modules`.
pub fn dbt_functions() -> Vec<(&'static str, Value)> {
    vec![
        ("tojson", Value::function("tojson", tojson)),
        ("fromjson", Value::function("fromjson", fromjson)),
        ("toyaml", Value::function("toyaml", toyaml)),
        ("fromyaml", Value::function("fromyaml", fromyaml)),
        ("set", Value::function("set", set)),
        ("set_strict", Value::function("set_strict", set_strict)),
        ("zip", Value::function("zip", zip)),
        ("zip_strict", Value::function("zip_strict", zip_strict)),
        ("local_md5", Value::function("local_md5", local_md5)),
        ("diff_of_two_dicts", Value::function("diff_of_two_dicts", diff_of_two_dicts)),
        ("modules", modules::modules()),
    ]
}

/// The default where the call failed with an error of that kind.
fn or_default(result: Result<Value>, kind: ErrorKind, default: Option<Value>) -> Result<Value> {
    match result {
        Err(Interrupt::Error(error)) if error.kind == kind => Ok(default.unwrap_or(Value::None)),
        other => other,
    }
}

fn tojson(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [value, default, sort_keys] = args.bind("tojson", ["value", "default", "sort_keys"], 1)?;
    let style = json::Style { indent: None, sort_keys: sort_keys.is_some_and(|flag| flag.is_true()) };
    let text = json::dumps(&value.unwrap_or(Value::None), &style).map(Value::from);
    or_default(text, ErrorKind::Value, default)
}

fn fromjson(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [text, default] = args.bind("fromjson", ["string", "default"], 1)?;
    match text.unwrap_or(Value::None) {
        Value::Str(text) => or_default(json::loads(&text), ErrorKind::Value, default),
        other => Err(type_error(format!("the JSON object must be str, bytes or bytearray, not {}", other.type_name()))),
    }
}

fn toyaml(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [value, default, sort_keys] = args.bind("toyaml", ["value", "default", "sort_keys"], 1)?;
    let sort_keys = sort_keys.is_some_and(|flag| flag.is_true());
    let text = yaml::dump(&value.unwrap_or(Value::None), sort_keys).map(Value::from);
    or_default(text, ErrorKind::Value, default)
}

fn fromyaml(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [text, default] = args.bind("fromyaml", ["value", "default"], 1)?;
    match text.unwrap_or(Value::None) {
        Value::Str(text) => or_default(yaml::load(&text), ErrorKind::Value, default),
        _ => Ok(default.unwrap_or(Value::None)),
    }
}

fn set(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items, default] = args.bind("set", ["value", "default"], 1)?;
    let made = sets::from_items(interpreter, &items.unwrap_or(Value::None)).map(Value::set);
    or_default(made, ErrorKind::Type, default)
}

/// A `TypeError` as dbt's `CompilationError`.
fn as_compiler_error(error: Interrupt) -> Interrupt {
    match error {
        Interrupt::Error(error) if error.kind == ErrorKind::Type => {
            Error::new(ErrorKind::Compiler, error.message).into()
        }
        other => other,
    }
}

fn set_strict(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items] = args.bind("set_strict", ["value"], 1)?;
    sets::from_items(interpreter, &items.unwrap_or(Value::None)).map(Value::set).map_err(as_compiler_error)
}

fn zip(interpreter: &mut Interpreter, mut args: Args) -> Result<Value> {
    let default = args.take_keyword("default");
    if let Some((name, _)) = args.keyword.first() {
        return Err(type_error(format!("zip() got an unexpected keyword argument '{name}'")));
    }
    or_default(itertools::zip(interpreter, &args.positional), ErrorKind::Type, default)
}

fn zip_strict(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    if let Some((name, _)) = args.keyword.first() {
        return Err(type_error(format!("zip_strict() got an unexpected keyword argument '{name}'")));
    }
    itertools::zip(interpreter, &args.positional).map_err(as_compiler_error)
}

fn local_md5(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [value] = args.bind("local_md5", ["value"], 1)?;
    let text = expect_str(&value.unwrap_or(Value::None))?;
    let digest = Md5::digest(text.as_bytes());
    Ok(Value::from(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// The entries of the first dict of lists that the second lacks; case does not count.
fn diff_of_two_dicts(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [ours, theirs] = args.bind("diff_of_two_dicts", ["dict_a", "dict_b"], 2)?;
    let folded = |value: &Value| expect_str(value).map(|text| casefold(&text));
    let mut entries = |value: Option<Value>| {
        let value = value.unwrap_or(Value::None);
        mapping_items(interpreter, &value)?
            .ok_or_else(|| type_error(format!("'{}' object has no attribute 'items'", value.type_name())))
    };
    let (ours, theirs) = (entries(ours)?, entries(theirs)?);
    let mut known: Vec<(String, Vec<String>)> = Vec::new();
    for (key, values) in &theirs {
        let values = iterate(interpreter, values)?.iter().map(folded).collect::<Result<Vec<_>>>()?;
        known.push((folded(key)?, values));
    }
    let mut difference = Dict::new();
    for (key, values) in ours {
        let name = folded(&key)?;
        let kept = match known.iter().find(|(other, _)| *other == name) {
            None => values,
            Some((_, present)) => {
                let mut kept = Vec::new();
                for value in iterate(interpreter, &values)? {
                    if !present.contains(&folded(&value)?) {
                        kept.push(value);
                    }
                }
                Value::list(kept)
            }
        };
        if !equal(&kept, &Value::list(Vec::new())) {
            difference.insert(Key::new(key)?, kept);
        }
    }
    Ok(Value::dict(difference))
}
