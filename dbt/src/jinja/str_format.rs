//! `str.format` and `str.format_map`, as jinja2's sandbox runs them: attributes go through its rules.

use super::Interpreter;
use super::access::{find_item, get_attr};
use super::arguments::{Args, type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::format_spec::format_value;
use super::percent_format::ascii;
use super::repr::{quote, repr};
use super::value::{Key, Value};

/// Fields inside the specification of a field go no deeper.
const DEPTH_MAX: usize = 2;

/// Where fields find their values.
pub enum Fields {
    Args(Args),
    /// `format_map`
    Mapping(Value),
}

impl Fields {
    fn by_name(&self, interpreter: &mut Interpreter, name: &str) -> Result<Value> {
        let found = match self {
            Self::Args(args) => args.keyword.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone()),
            Self::Mapping(Value::Dict(dict)) => dict.borrow().get(&Key::str(name)).cloned(),
            Self::Mapping(mapping) => find_item(interpreter, mapping, &Value::str(name))?,
        };
        found.ok_or_else(|| Error::new(ErrorKind::Key, quote(name)).into())
    }

    fn by_index(&self, index: usize) -> Result<Value> {
        match self {
            Self::Args(args) => args.positional.get(index).cloned().ok_or_else(|| {
                let message = format!("Replacement index {index} out of range for positional args tuple");
                Error::new(ErrorKind::Index, message).into()
            }),
            Self::Mapping(_) => Err(value_error("Format string contains positional fields")),
        }
    }
}

/// Which of `{}` and `{0}` a template uses; it may not mix them.
enum Numbering {
    Unset,
    Automatic(usize),
    Manual,
}

/// Fills the fields of a template.
pub fn format(interpreter: &mut Interpreter, template: &str, fields: &Fields) -> Result<String> {
    expand(interpreter, template, fields, &mut Numbering::Unset, DEPTH_MAX)
}

fn expand(
    interpreter: &mut Interpreter,
    template: &str,
    fields: &Fields,
    numbering: &mut Numbering,
    depth: usize,
) -> Result<String> {
    if depth == 0 {
        return Err(value_error("Max string recursion exceeded"));
    }
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push_str(brace);
            rest = &rest[1..];
            continue;
        }
        if brace == "}" {
            return Err(value_error("Single '}' encountered in format string"));
        }
        let end = field_end(rest)?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        let (name, conversion, spec) = split_field(field)?;
        let value = look_up(interpreter, name, fields, numbering)?;
        let value = match conversion {
            None => value,
            Some('s') => Value::Str(value.to_str()),
            Some('r') => Value::from(repr(&value)),
            Some('a') => Value::from(ascii(&value)),
            Some(other) => return Err(value_error(format!("Unknown conversion specifier {other}"))),
        };
        let spec = expand(interpreter, spec, fields, numbering, depth - 1)
            .or_else(|error| if spec.contains(['{', '}']) { Err(error) } else { Ok(spec.to_owned()) })?;
        out.push_str(&format_value(&value, &spec)?);
        super::ops::check_size(out.len())?;
    }
    out.push_str(rest);
    Ok(out)
}

/// The place of the brace that closes a field.
fn field_end(text: &str) -> Result<usize> {
    if text.is_empty() {
        return Err(value_error("Single '{' encountered in format string"));
    }
    let mut depth = 1;
    let mut bracket = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' if depth == 1 => bracket = true,
            ']' => bracket = false,
            '{' if !bracket => depth += 1,
            '}' if !bracket => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => {}
        }
    }
    Err(value_error("expected '}' before end of string"))
}

/// `name!conversion:spec`
fn split_field(field: &str) -> Result<(&str, Option<char>, &str)> {
    let mut bracket = false;
    let cut = field.char_indices().find(|(_, c)| {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
        !bracket && matches!(c, '!' | ':')
    });
    match cut {
        None => Ok((field, None, "")),
        Some((at, ':')) => Ok((&field[..at], None, &field[at + 1..])),
        Some((at, _)) => {
            let mut rest = field[at + 1..].chars();
            let conversion =
                rest.next().ok_or_else(|| value_error("end of string while looking for conversion specifier"))?;
            match rest.as_str() {
                "" => Ok((&field[..at], Some(conversion), "")),
                spec if spec.starts_with(':') => Ok((&field[..at], Some(conversion), &spec[1..])),
                _ => Err(value_error("expected ':' after conversion specifier")),
            }
        }
    }
}

fn look_up(interpreter: &mut Interpreter, name: &str, fields: &Fields, numbering: &mut Numbering) -> Result<Value> {
    let cut = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(cut);
    let mut value = if first.is_empty() {
        let index = match numbering {
            Numbering::Unset => 0,
            Numbering::Automatic(next) => *next,
            Numbering::Manual => {
                return Err(value_error("cannot switch from manual field specification to automatic field numbering"));
            }
        };
        *numbering = Numbering::Automatic(index + 1);
        fields.by_index(index)?
    } else if first.bytes().all(|b| b.is_ascii_digit()) {
        if matches!(numbering, Numbering::Automatic(_)) {
            return Err(value_error("cannot switch from automatic field numbering to manual field specification"));
        }
        *numbering = Numbering::Manual;
        fields.by_index(first.parse().map_err(|_| value_error("Too many decimal digits in format string"))?)?
    } else {
        fields.by_name(interpreter, first)?
    };
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(value_error("Empty attribute in format string"));
            }
            value = get_attr(interpreter, &value, &rest[..end])?;
            path = &rest[end..];
        } else {
            let rest = path
                .strip_prefix('[')
                .ok_or_else(|| value_error("Only '.' or '[' may follow ']' in format field specifier"))?;
            let end = rest.find(']').ok_or_else(|| value_error("Missing ']' in format string"))?;
            let key = match rest[..end].parse::<i64>() {
                Ok(index) if rest.as_bytes()[0].is_ascii_digit() => Value::Int(index),
                _ => Value::str(&rest[..end]),
            };
            value = find_item(interpreter, &value, &key)?
                .ok_or_else(|| type_error(format!("no item {} in format string", repr(&key))))?;
            path = &rest[end + 1..];
        }
    }
    Ok(value)
}
