//! YAML for templates: `toyaml` as PyYAML's `safe_dump` writes it, in block style, and `fromyaml`.

use super::arguments::value_error;
use super::compare::sort_by_key;
use super::error::Result;
use super::modules::date::Date;
use super::modules::datetime::DateTime;
use super::number::float_repr;
use super::ops::check_size;
use super::repr::is_printable;
use super::value::{Key, Object, Value};
use crate::yaml;

/// Columns after which long text is folded.
const WIDTH: usize = 80;
/// Nesting that is not written.
const DEPTH_MAX: usize = 200;

/// The value of one YAML document.
pub fn load(text: &str) -> Result<Value> {
    let mut diagnostics = Vec::new();
    match yaml::load(&yaml::Source::new("<string>", text), &mut diagnostics) {
        Some(node) => Ok(from_node(&node)),
        None => Err(value_error(diagnostics.first().map_or_else(String::new, |diagnostic| diagnostic.message.clone()))),
    }
}

fn from_node(node: &yaml::Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::None,
        yaml::Value::Bool(flag) => Value::Bool(*flag),
        yaml::Value::Int(number) => Value::Int(*number),
        yaml::Value::Float(number) => Value::Float(*number),
        yaml::Value::String(text) => Value::str(text.as_str()),
        yaml::Value::Sequence(items) => Value::list(items.iter().map(from_node).collect::<Vec<_>>()),
        yaml::Value::Mapping(mapping) => {
            Value::dict(mapping.iter().map(|(key, entry)| (Key::str(key), from_node(&entry.value))).collect())
        }
    }
}

/// `yaml.safe_dump(value, sort_keys=sort_keys)`
pub fn dump(value: &Value, sort_keys: bool) -> Result<String> {
    let mut out = String::new();
    match value {
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Set(_) => {
            block(&mut out, value, 0, sort_keys, 0)?;
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
        scalar => {
            let (text, plain) = scalar_text(scalar, 0, 0)?;
            out.push_str(&text);
            out.push_str(if plain { "\n...\n" } else { "\n" });
        }
    }
    Ok(out)
}

/// The items of a sequence, or the entries of a mapping.
enum Parts {
    Items(Vec<Value>),
    Entries(Vec<(Value, Value)>),
}

fn parts(value: &Value, sort_keys: bool) -> Result<Option<Parts>> {
    Ok(Some(match value {
        Value::List(items) => Parts::Items(items.borrow().clone()),
        Value::Tuple(items) => Parts::Items(items.to_vec()),
        Value::Dict(dict) => {
            let entries: Vec<_> = dict.borrow().iter().map(|(key, item)| (key.value().clone(), item.clone())).collect();
            Parts::Entries(if sort_keys { sort_by_key(entries, false)? } else { entries })
        }
        _ => return Ok(None),
    }))
}

fn block(out: &mut String, value: &Value, indent: usize, sort_keys: bool, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(value_error("the value is nested deeper than the limit"));
    }
    check_size(out.len())?;
    if let Value::Set(set) = value {
        let keys: Vec<_> = set.borrow().iter().map(|key| (key.value().clone(), Value::None)).collect();
        out.push_str("!!set\n");
        return entries(out, keys, indent, sort_keys, depth);
    }
    match parts(value, sort_keys)? {
        None => Ok(()),
        Some(Parts::Items(items)) if items.is_empty() => {
            out.push_str("[]");
            Ok(())
        }
        Some(Parts::Entries(pairs)) if pairs.is_empty() => {
            out.push_str("{}");
            Ok(())
        }
        Some(Parts::Entries(pairs)) => entries(out, pairs, indent, sort_keys, depth),
        Some(Parts::Items(items)) => {
            for item in items {
                if out.ends_with('\n') || out.is_empty() {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                // A collection begins on the line of its dash, scalars and empty collections end it.
                nested(out, &item, indent + 2, sort_keys, depth)?;
            }
            Ok(())
        }
    }
}

fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

fn nested(out: &mut String, value: &Value, indent: usize, sort_keys: bool, depth: usize) -> Result<()> {
    match value {
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Set(_) => {
            block(out, value, indent, sort_keys, depth + 1)?;
        }
        scalar => {
            let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
            out.push_str(&scalar_text(scalar, column, indent)?.0);
        }
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(())
}

fn entries(out: &mut String, pairs: Vec<(Value, Value)>, indent: usize, sort_keys: bool, depth: usize) -> Result<()> {
    for (key, item) in pairs {
        if out.ends_with('\n') || out.is_empty() {
            out.push_str(&" ".repeat(indent));
        }
        let is_long = key.as_str().is_some_and(|text| text.chars().count() > 128 || text.contains('\n'));
        if is_long || matches!(key, Value::Tuple(_)) {
            return Err(value_error("keys that are tuples, or long, are not supported by toyaml"));
        }
        out.push_str(&scalar_text(&key, 0, 0)?.0);
        out.push(':');
        match &item {
            // A sequence in a mapping keeps the mapping's indentation.
            Value::List(_) | Value::Tuple(_) if !is_empty(&item) => {
                out.push('\n');
                block(out, &item, indent, sort_keys, depth + 1)?;
            }
            Value::Dict(_) if !is_empty(&item) => {
                out.push('\n');
                block(out, &item, indent + 2, sort_keys, depth + 1)?;
            }
            _ => {
                out.push(' ');
                nested(out, &item, indent + 2, sort_keys, depth)?;
            }
        }
    }
    Ok(())
}

/// A scalar as it is written at a column, and whether it is plain.
fn scalar_text(value: &Value, column: usize, indent: usize) -> Result<(String, bool)> {
    let plain = match value {
        Value::None => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(_) | Value::BigInt(_) => value.to_str().to_string(),
        Value::Float(number) => float_text(*number),
        Value::Str(text) => return Ok(string_text(text, column, indent)),
        Value::Object(object) => match (value.downcast::<Date>(), value.downcast::<DateTime>()) {
            (Some(date), _) => date.to_str(),
            (_, Some(moment)) => moment.to_str(),
            _ if object.type_name() == "str" => return Ok(string_text(&object.to_str(), column, indent)),
            _ => return Err(cannot_represent(value)),
        },
        _ => return Err(cannot_represent(value)),
    };
    Ok((plain, true))
}

/// dbt answers this error of PyYAML with the default.
fn cannot_represent(value: &Value) -> super::error::Interrupt {
    value_error(format!("cannot represent an object: {}", value.repr()))
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = float_repr(number);
    // `1e+16` would be read as text: a YAML 1.1 float needs a dot.
    if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
}

fn string_text(text: &str, column: usize, indent: usize) -> (String, bool) {
    let is_multiline = text.contains('\n');
    let needs_escapes = text.chars().any(|c| c != '\n' && (!c.is_ascii() || !is_printable(c)));
    let space_break = text.contains(" \n") || (is_multiline && text.ends_with(' '));
    if needs_escapes || space_break || text.starts_with(' ') && is_multiline {
        return (double_quoted(text, column, indent), false);
    }
    if !is_multiline
        && may_be_plain(text)
        && !is_timestamp(text)
        && matches!(yaml::resolve(text), yaml::Value::String(same) if same == text)
    {
        return (folded(text, column, indent), true);
    }
    (single_quoted(text, column, indent), false)
}

/// Whether plain text would be read as a date or a time stamp: YAML 1.1's type `timestamp`.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts_as_date = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | ' ' | '\t' | 'T' | 't' | 'Z');
    starts_as_date && text.chars().all(allowed) && (text.len() == 10 || text.contains(':'))
}

/// Whether text can stand without quotes in block style.
fn may_be_plain(text: &str) -> bool {
    if text.is_empty() || text.starts_with("---") || text.starts_with("...") || text == "=" || text == "<<" {
        return false;
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return false;
    }
    let chars: Vec<char> = text.chars().collect();
    let followed_by_space = |index: usize| chars.get(index + 1).is_none_or(|c| *c == ' ');
    if matches!(
        chars[0],
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
    ) {
        return false;
    }
    if matches!(chars[0], '?' | ':' | '-') && followed_by_space(0) {
        return false;
    }
    chars.iter().enumerate().skip(1).all(|(index, c)| match c {
        ':' => !followed_by_space(index),
        '#' => chars[index - 1] != ' ',
        _ => true,
    })
}

/// Breaks at single blanks once a line is longer than the width.
fn folded(text: &str, column: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = column;
    let words: Vec<&str> = text.split(' ').collect();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            let single = !word.is_empty() && !words[index - 1].is_empty();
            let last_is_end = index == words.len() - 1 && word.is_empty();
            if single && column > WIDTH && !last_is_end {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += word.chars().count();
    }
    out
}

fn single_quoted(text: &str, column: usize, indent: usize) -> String {
    let quoted = text.replace('\'', "''");
    let mut out = String::from("'");
    for (index, line) in quoted.split('\n').enumerate() {
        if index == 0 {
            out.push_str(&folded(line, column + 1, indent));
            continue;
        }
        // One line break would be folded into a blank, so each is written as two.
        if index == 1 || !out.ends_with('\n') {
            out.push('\n');
        }
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(&folded(line, indent, indent));
        }
    }
    if out.ends_with('\n') {
        out.push_str(&" ".repeat(indent));
    }
    out.push('\'');
    out
}

fn double_quoted(text: &str, column: usize, indent: usize) -> String {
    let mut out = String::from("\"");
    let mut column = column + 1;
    let chars: Vec<char> = text.chars().collect();
    for (index, &c) in chars.iter().enumerate() {
        let code = u32::from(c);
        let piece = match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\0' => "\\0".to_owned(),
            '\x07' => "\\a".to_owned(),
            '\x08' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\x0b' => "\\v".to_owned(),
            '\x0c' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\x1b' => "\\e".to_owned(),
            '\u{85}' => "\\N".to_owned(),
            '\u{a0}' => "\\_".to_owned(),
            '\u{2028}' => "\\L".to_owned(),
            '\u{2029}' => "\\P".to_owned(),
            ' '..='~' => c.to_string(),
            _ if code <= 0xff => format!("\\x{code:02X}"),
            _ if code <= 0xffff => format!("\\u{code:04X}"),
            _ => format!("\\U{code:08X}"),
        };
        let is_inner = index > 0 && index + 1 < chars.len();
        if c == ' ' && is_inner && column > WIDTH {
            out.push_str("\\\n");
            out.push_str(&" ".repeat(indent));
            out.push_str("\\ ");
            column = indent + 2;
            continue;
        }
        column += piece.len();
        out.push_str(&piece);
    }
    out.push('"');
    out
}
