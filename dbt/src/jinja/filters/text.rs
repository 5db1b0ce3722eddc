//! Filters of text.

use std::rc::Rc;

use super::super::Interpreter;
use super::super::access::length;
use super::super::arguments::{Args, expect_int, type_error, value_error};
use super::super::error::Result;
use super::super::ops::check_size;
use super::super::percent_format;
use super::super::strings::{self, lines};
use super::super::value::Value;

/// Calls a method of `str` on `str(value)`.
fn method(interpreter: &mut Interpreter, value: &Value, name: &str, args: Args) -> Result<Value> {
    strings::call(interpreter, &value.to_str(), name, args)
}

pub fn capitalize(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "capitalize", args)
}

pub fn lower(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "lower", args)
}

pub fn upper(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    method(interpreter, &value, "upper", args)
}

pub fn trim(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [chars] = args.bind("trim", ["chars"], 0)?;
    method(interpreter, &value, "strip", Args::new(vec![chars.unwrap_or(Value::None)]))
}

pub fn center(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [width] = args.bind("center", ["width"], 0)?;
    method(interpreter, &value, "center", Args::new(vec![width.unwrap_or(Value::Int(80))]))
}

pub fn string(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("string")?;
    Ok(Value::Str(value.to_str()))
}

/// Upper case after blanks, hyphens and opening brackets only, unlike `str.title`.
pub fn title(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("title")?;
    let text = value.to_str();
    let breaks = |c: char| strings::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if breaks(c) {
            inside = false;
            out.push(c);
        } else if inside {
            out.extend(c.to_lowercase());
        } else {
            inside = true;
            out.extend(c.to_uppercase());
        }
    }
    Ok(Value::from(out))
}

pub fn replace(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"], 2)?;
    let count = match &count {
        None | Some(Value::None) => -1,
        Some(count) => expect_int(count)?,
    };
    let part = |value: Option<Value>| value.map_or_else(|| Rc::from(""), |value| value.to_str());
    strings::replace(&value.to_str(), &part(old), &part(new), count).map(Value::from)
}

pub fn format(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let values = match (args.positional.is_empty(), args.keyword.is_empty()) {
        (false, false) => return Err(type_error("can't handle positional and keyword arguments at the same time")),
        (_, true) => Value::tuple(args.positional),
        (true, false) => Value::record(args.keyword),
    };
    percent_format::format(&value.to_str(), &values).map(Value::from)
}

pub fn wordcount(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("wordcount")?;
    let text = value.to_str();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    Ok(Value::from(words.count()))
}

pub fn truncate(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [limit, kill_words, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"], 0)?;
    let limit = limit.as_ref().map(expect_int).transpose()?.unwrap_or(255);
    let end = end.map_or_else(|| Rc::from("..."), |end| end.to_str());
    let leeway = match &leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => expect_int(leeway)?,
    };
    let end_length = i64::try_from(end.chars().count()).unwrap_or(i64::MAX);
    if limit < end_length {
        return Err(value_error(format!("expected length >= {end_length}, got {limit}")));
    }
    if leeway < 0 {
        return Err(value_error(format!("expected leeway >= 0, got {leeway}")));
    }
    let whole = i64::try_from(length(&value)?).unwrap_or(i64::MAX);
    if whole <= limit.saturating_add(leeway) {
        return Ok(value);
    }
    let text = value.to_str();
    let kept: String = text.chars().take(usize::try_from(limit - end_length).unwrap_or(0)).collect();
    if kill_words.is_some_and(|kill| kill.is_true()) {
        return Ok(Value::from(kept + &end));
    }
    let kept = kept.rsplit_once(' ').map_or(kept.as_str(), |(head, _)| head);
    Ok(Value::from(format!("{kept}{end}")))
}

pub fn indent(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"], 0)?;
    let text = match &value {
        Value::Str(text) => text.clone(),
        Value::Undefined(undefined) => return Err(undefined.error()),
        _ => {
            let message = format!("unsupported operand type(s) for +=: '{}' and 'str'", value.type_name());
            return Err(type_error(message));
        }
    };
    let indention = match &width {
        None => "    ".to_owned(),
        Some(Value::Str(text)) => text.to_string(),
        Some(width) => {
            let width = usize::try_from(expect_int(width)?).unwrap_or(0);
            check_size(width)?;
            " ".repeat(width)
        }
    };
    let blank = blank.is_some_and(|blank| blank.is_true());
    // With the newline appended, text that ends in one keeps an empty last line, as in jinja2.
    let text = format!("{text}\n");
    let lines = lines(&text, false);
    check_size(indention.len().saturating_mul(lines.len()))?;
    let mut out = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        if index > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    if first.is_some_and(|first| first.is_true()) {
        out.insert_str(0, &indention);
    }
    Ok(Value::from(out))
}
