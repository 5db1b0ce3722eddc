//! The methods of `str`.

use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::{Args, expect_int, type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::ops::check_size;
use super::repr::{is_printable, repr};
use super::str_format::{self, Fields};
use super::value::{Dict, Key, Value};

/// The names of the methods.
pub const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// `text.name(…)` for one of `NAMES`.
pub fn call(interpreter: &mut Interpreter, text: &Rc<str>, name: &str, args: Args) -> Result<Value> {
    match name {
        "format" => {
            return str_format::format(interpreter, text, &Fields::Args(args)).map(Value::from);
        }
        "format_map" => {
            let [mapping] = args.exact(name)?;
            return str_format::format(interpreter, text, &Fields::Mapping(mapping)).map(Value::from);
        }
        "join" => {
            let [items] = args.exact(name)?;
            return join(interpreter, text, &items);
        }
        "split" | "rsplit" => {
            let [separator, limit] = args.bind(name, ["sep", "maxsplit"], 0)?;
            return split(text, separator.as_ref(), limit.as_ref(), name == "rsplit");
        }
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"], 0)?;
            return Ok(split_lines(text, keep.is_some_and(|keep| keep.is_true())));
        }
        "encode" => {
            let [encoding, _] = args.bind(name, ["encoding", "errors"], 0)?;
            return encode(text, encoding.as_ref());
        }
        "expandtabs" => {
            let [size] = args.bind(name, ["tabsize"], 0)?;
            let size = size.as_ref().map(expect_int).transpose()?.unwrap_or(8);
            return expand_tabs(text, size).map(Value::from);
        }
        "startswith" | "endswith" | "count" | "find" | "index" | "rfind" | "rindex" => {
            return search(text, name, args);
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = optional(args, name)?;
            return strip(text, chars.as_ref(), name);
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = optional(args, name)?;
            let width =
                expect_int(&width.ok_or_else(|| type_error(format!("{name} expected at least 1 argument, got 0")))?)?;
            return justify(text, width, fill.as_ref(), name).map(Value::from);
        }
        "replace" => {
            let [old, new, count] = optional(args, name)?;
            return replace_method(text, old.as_ref(), new.as_ref(), count.as_ref());
        }
        "partition" | "rpartition" => {
            let [separator] = args.exact(name)?;
            return partition(text, &str_argument(&separator)?, name == "rpartition");
        }
        "removeprefix" => {
            let [prefix] = args.exact(name)?;
            return Ok(Value::str(text.strip_prefix(&*str_argument(&prefix)?).unwrap_or(text)));
        }
        "removesuffix" => {
            let [suffix] = args.exact(name)?;
            return Ok(Value::str(text.strip_suffix(&*str_argument(&suffix)?).unwrap_or(text)));
        }
        "zfill" => {
            let [width] = args.exact(name)?;
            return zfill(text, expect_int(&width)?).map(Value::from);
        }
        "maketrans" => return make_translation(interpreter, args),
        "translate" => {
            let [table] = args.exact(name)?;
            return translate(text, &table).map(Value::from);
        }
        _ => {}
    }
    args.exact::<0>(name)?;
    Ok(match name {
        "capitalize" => Value::from(capitalize(text)),
        "casefold" => Value::from(casefold(text)),
        "lower" => Value::from(text.to_lowercase()),
        "upper" => Value::from(text.to_uppercase()),
        "swapcase" => Value::from(swap_case(text)),
        "title" => Value::from(title(text)),
        _ => Value::Bool(predicate(text, name)),
    })
}

/// Binds parameters that Python takes by place only; all may be missing.
fn optional<const N: usize>(args: Args, function: &str) -> Result<[Option<Value>; N]> {
    if !args.keyword.is_empty() {
        return Err(type_error(format!("str.{function}() takes no keyword arguments")));
    }
    args.bind(function, [""; N], 0)
}

fn str_argument(value: &Value) -> Result<Rc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        _ => Err(type_error(format!("must be str, not {}", value.type_name()))),
    }
}

/// White space as `str.isspace` sees it: Unicode's, and the four ASCII separators.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn join(interpreter: &mut Interpreter, separator: &str, items: &Value) -> Result<Value> {
    let items = iterate(interpreter, items)?;
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Str(text) = item else {
            let message = format!("sequence item {index}: expected str instance, {} found", item.type_name());
            return Err(type_error(message));
        };
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
        check_size(out.len())?;
    }
    Ok(Value::from(out))
}

fn strings<'a>(parts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::list(parts.into_iter().map(Value::from).collect::<Vec<_>>())
}

fn split(text: &str, separator: Option<&Value>, limit: Option<&Value>, from_right: bool) -> Result<Value> {
    let limit = match limit {
        Some(limit) => usize::try_from(expect_int(limit)?).unwrap_or(usize::MAX - 1),
        None => usize::MAX - 1,
    };
    let separator = match separator {
        None | Some(Value::None) => return Ok(split_space(text, limit, from_right)),
        Some(separator) => str_argument(separator)?,
    };
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    if from_right {
        let mut parts: Vec<&str> = text.rsplitn(limit + 1, &*separator).collect();
        parts.reverse();
        return Ok(strings(parts));
    }
    Ok(strings(text.splitn(limit + 1, &*separator)))
}

fn split_space(text: &str, limit: usize, from_right: bool) -> Value {
    let mut parts = Vec::new();
    if from_right {
        let mut rest = text.trim_end_matches(is_space);
        while !rest.is_empty() {
            let Some((at, c)) = rest.char_indices().rfind(|(_, c)| is_space(*c)).filter(|_| parts.len() < limit) else {
                parts.push(rest);
                break;
            };
            parts.push(&rest[at + c.len_utf8()..]);
            rest = rest[..at].trim_end_matches(is_space);
        }
        parts.reverse();
        return strings(parts);
    }
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let Some(at) = rest.find(is_space).filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        parts.push(&rest[..at]);
        rest = rest[at..].trim_start_matches(is_space);
    }
    strings(parts)
}

/// `str.splitlines`
pub fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(is_end) else {
            lines.push(rest);
            break;
        };
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        lines.push(if keep_ends { &rest[..end] } else { &rest[..at] });
        rest = &rest[end..];
    }
    lines
}

fn split_lines(text: &str, keep_ends: bool) -> Value {
    strings(lines(text, keep_ends))
}

fn encode(text: &str, encoding: Option<&Value>) -> Result<Value> {
    let name = match encoding {
        Some(encoding) => str_argument(encoding)?.to_lowercase().replace('_', "-"),
        None => "utf-8".to_owned(),
    };
    let limit = match name.as_str() {
        "utf-8" | "utf8" => return Ok(Value::bytes(text.as_bytes())),
        "ascii" | "us-ascii" => 0x80,
        "latin-1" | "latin1" | "iso-8859-1" => 0x100,
        _ => return Err(Error::new(ErrorKind::Value, format!("unknown encoding: {name}")).into()),
    };
    let bytes: Option<Vec<u8>> =
        text.chars().map(|c| u8::try_from(c as u32).ok().filter(|byte| u32::from(*byte) < limit)).collect();
    bytes
        .map(Value::bytes)
        .ok_or_else(|| value_error(format!("'{name}' codec can't encode character: ordinal not in range({limit})")))
}

fn expand_tabs(text: &str, size: i64) -> Result<String> {
    let size = usize::try_from(size).unwrap_or(0);
    check_size(size.saturating_mul(text.matches('\t').count()))?;
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(out)
}

/// The byte range of `text[start:stop]`; `None` where `start` lies beyond the end.
fn window(text: &str, start: Option<&Value>, stop: Option<&Value>) -> Result<Option<(usize, usize)>> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let place = |value: Option<&Value>, default: i64| -> Result<i64> {
        match value {
            None | Some(Value::None) => Ok(default),
            Some(value) => {
                let index = expect_int(value)?;
                Ok(if index < 0 { index.saturating_add(length).max(0) } else { index })
            }
        }
    };
    let (start, stop) = (place(start, 0)?, place(stop, length)?.min(length));
    if start > length || start > stop {
        return Ok(None);
    }
    let byte = |index: i64| {
        let index = usize::try_from(index).unwrap_or(0);
        text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
    };
    Ok(Some((byte(start), byte(stop))))
}

fn search(text: &str, name: &str, args: Args) -> Result<Value> {
    let [needle, start, stop] = optional(args, name)?;
    let needle = needle.ok_or_else(|| type_error(format!("{name}() takes at least 1 argument (0 given)")))?;
    let range = window(text, start.as_ref(), stop.as_ref())?;
    if matches!(name, "startswith" | "endswith") {
        let part = range.map(|(start, stop)| &text[start..stop]);
        let matches = |candidate: &Value| match candidate {
            Value::Str(affix) if name == "startswith" => Ok(part.is_some_and(|part| part.starts_with(&**affix))),
            Value::Str(affix) => Ok(part.is_some_and(|part| part.ends_with(&**affix))),
            _ => Err(type_error(format!(
                "{name} first arg must be str or a tuple of str, not {}",
                candidate.type_name()
            ))),
        };
        return match &needle {
            Value::Tuple(candidates) => {
                for candidate in candidates.iter() {
                    if matches(candidate)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            single => matches(single).map(Value::Bool),
        };
    }
    let needle = str_argument(&needle)?;
    let part = range.map(|(start, stop)| (start, &text[start..stop]));
    if name == "count" {
        let count =
            part.map_or(
                0,
                |(_, part)| {
                    if needle.is_empty() { part.chars().count() + 1 } else { part.matches(&*needle).count() }
                },
            );
        return Ok(Value::from(count));
    }
    let found = part.and_then(|(start, part)| {
        let at = if name.starts_with('r') { part.rfind(&*needle) } else { part.find(&*needle) };
        at.map(|at| text[..start + at].chars().count())
    });
    match found {
        Some(index) => Ok(Value::from(index)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(value_error("substring not found")),
    }
}

fn strip(text: &str, chars: Option<&Value>, name: &str) -> Result<Value> {
    let set: Option<Vec<char>> = match chars {
        None | Some(Value::None) => None,
        Some(Value::Str(chars)) => Some(chars.chars().collect()),
        Some(_) => return Err(type_error(format!("{name} arg must be None or str"))),
    };
    let drops = |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(&c));
    let mut text = text;
    if name != "rstrip" {
        text = text.trim_start_matches(drops);
    }
    if name != "lstrip" {
        text = text.trim_end_matches(drops);
    }
    Ok(Value::str(text))
}

fn justify(text: &str, width: i64, fill: Option<&Value>, name: &str) -> Result<String> {
    let fill = match fill {
        None => ' ',
        Some(fill) => {
            let fill = str_argument(fill)?;
            let mut chars = fill.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => c,
                _ => return Err(type_error("The fill character must be exactly one character long")),
            }
        }
    };
    let width = usize::try_from(width).unwrap_or(0);
    check_size(width)?;
    let missing = width.saturating_sub(text.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        // CPython's rule for where the odd blank goes.
        _ => missing / 2 + (missing & width & 1),
    };
    let mut out = String::with_capacity(text.len() + missing);
    out.extend(std::iter::repeat_n(fill, left));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, missing - left));
    Ok(out)
}

fn replace_method(text: &str, old: Option<&Value>, new: Option<&Value>, count: Option<&Value>) -> Result<Value> {
    let (Some(old), Some(new)) = (old, new) else {
        return Err(type_error("replace expected at least 2 arguments"));
    };
    let argument = |value: &Value, place: u8| match value {
        Value::Str(text) => Ok(text.clone()),
        _ => Err(type_error(format!("replace() argument {place} must be str, not {}", value.type_name()))),
    };
    let count = count.map(expect_int).transpose()?.unwrap_or(-1);
    replace(text, &argument(old, 1)?, &argument(new, 2)?, count).map(Value::from)
}

/// `str.replace`; a negative count replaces all.
pub fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<String> {
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = usize::try_from(count).unwrap_or(found).min(found);
    check_size(text.len().saturating_add(new.len().saturating_mul(count)))?;
    Ok(text.replacen(old, new, count))
}

fn partition(text: &str, separator: &str, from_right: bool) -> Result<Value> {
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match (found, from_right) {
        (Some((head, tail)), _) => [head, separator, tail],
        (None, false) => [text, "", ""],
        (None, true) => ["", "", text],
    };
    Ok(Value::tuple(parts.map(Value::from)))
}

fn zfill(text: &str, width: i64) -> Result<String> {
    let width = usize::try_from(width).unwrap_or(0);
    check_size(width)?;
    let zeros = "0".repeat(width.saturating_sub(text.chars().count()));
    Ok(match text.strip_prefix(['+', '-']) {
        Some(digits) => format!("{}{zeros}{digits}", &text[..1]),
        None => format!("{zeros}{text}"),
    })
}

fn make_translation(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [from, to, remove] = optional(args, "maketrans")?;
    let mut table = Dict::new();
    let code = |c: char| Key::new(Value::Int(i64::from(u32::from(c))));
    match (from, to) {
        (Some(Value::Dict(pairs)), None) => {
            for (key, value) in pairs.borrow().iter() {
                let key = match key.value() {
                    Value::Str(text) if text.chars().count() == 1 => code(text.chars().next().unwrap_or_default())?,
                    Value::Int(_) => key.clone(),
                    _ => return Err(value_error("string keys in translate table must be of length 1")),
                };
                table.insert(key, value.clone());
            }
        }
        (Some(from), Some(to)) => {
            let (from, to) = (str_argument(&from)?, str_argument(&to)?);
            if from.chars().count() != to.chars().count() {
                return Err(value_error("the first two maketrans arguments must have equal length"));
            }
            for (a, b) in from.chars().zip(to.chars()) {
                table.insert(code(a)?, Value::Int(i64::from(u32::from(b))));
            }
            for c in iterate(interpreter, &remove.unwrap_or(Value::str("")))? {
                table.insert(code(str_argument(&c)?.chars().next().unwrap_or_default())?, Value::None);
            }
        }
        _ => return Err(type_error("if you give only one argument to maketrans it must be a dict")),
    }
    Ok(Value::dict(table))
}

fn translate(text: &str, table: &Value) -> Result<String> {
    let Value::Dict(table) = table else {
        return Err(type_error(format!("'{}' object is not subscriptable", table.type_name())));
    };
    let table = table.borrow();
    let mut out = String::new();
    for c in text.chars() {
        match table.get(&Key::new(Value::Int(i64::from(u32::from(c))))?) {
            None => out.push(c),
            Some(Value::None) => {}
            Some(Value::Str(text)) => out.push_str(text),
            Some(Value::Int(code)) => match u32::try_from(*code).ok().and_then(char::from_u32) {
                Some(c) => out.push(c),
                None => return Err(value_error("character mapping must be in range(0x110000)")),
            },
            Some(_) => return Err(type_error("character mapping must return integer, None or str")),
        }
    }
    check_size(out.len())?;
    Ok(out)
}

/// `str.capitalize`
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => title_case(first) + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

fn title_case(c: char) -> String {
    let upper: String = c.to_uppercase().collect();
    // Letters that expand in upper case (`ß`) keep only the first letter upper.
    let mut chars = upper.chars();
    match chars.next() {
        Some(first) if chars.as_str().is_empty() => first.to_string(),
        Some(first) => format!("{first}{}", chars.as_str().to_lowercase()),
        None => String::new(),
    }
}

/// `str.casefold`, for all but the rarest letters.
pub fn casefold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(|c| match c {
            'ß' => vec!['s', 's'],
            'ς' => vec!['σ'],
            'ﬁ' => vec!['f', 'i'],
            'ﬂ' => vec!['f', 'l'],
            'ŉ' => vec!['ʼ', 'n'],
            c => vec![c],
        })
        .collect()
}

fn swap_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// `str.title`: every letter after a character without case is upper.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.push_str(&title_case(c));
        }
        inside = is_cased(c);
    }
    out
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase()
}

fn predicate(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = || text.chars().any(is_cased);
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(is_decimal),
        "isdigit" => all(|c| is_decimal(c) || is_superscript_digit(c)),
        "isnumeric" => all(char::is_numeric),
        "isidentifier" => is_identifier(text),
        "islower" => cased() && !text.chars().any(char::is_uppercase),
        "isupper" => cased() && !text.chars().any(char::is_lowercase),
        "isprintable" => text.chars().all(is_printable),
        "isspace" => all(is_space),
        _ => is_title(text),
    }
}

fn is_decimal(c: char) -> bool {
    c.is_ascii_digit()
        || (c.is_numeric() && matches!(c as u32, 0x660..=0x669 | 0x6f0..=0x6f9 | 0x966..=0x96f | 0xff10..=0xff19))
}

fn is_superscript_digit(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉')
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic()) && chars.all(|c| c == '_' || c.is_alphanumeric())
}

fn is_title(text: &str) -> bool {
    let mut inside = false;
    let mut any = false;
    for c in text.chars() {
        if c.is_uppercase() && inside || c.is_lowercase() && !inside {
            return false;
        }
        inside = is_cased(c);
        any |= inside;
    }
    any
}

/// The `repr` of the key that a `KeyError` shows.
pub fn key_error(key: &Value) -> super::error::Interrupt {
    Error::new(ErrorKind::Key, repr(key)).into()
}
