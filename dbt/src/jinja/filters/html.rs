//! Filters for HTML, URLs and JSON.

use fancy_regex::Regex;
use std::sync::LazyLock;

use super::super::Interpreter;
use super::super::access::iterate;
use super::super::arguments::{Args, type_error, value_error};
use super::super::dicts::mapping_items;
use super::super::error::Result;
use super::super::json;
use super::super::value::Value;

pub fn escape(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("escape")?;
    Ok(Value::from(escaped(&value.to_str())))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

pub fn striptags(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    static TAGS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->|<.*?>").expect("the pattern is valid"));
    args.exact::<0>("striptags")?;
    let text = value.to_str();
    let stripped = TAGS.replace_all(&text, "");
    let collapsed = stripped.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = collapsed;
    for (entity, c) in [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        plain = plain.replace(entity, c);
    }
    Ok(Value::from(plain))
}

pub fn tojson(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [indent] = args.bind("tojson", ["indent"], 0)?;
    let style = json::Style { indent: json::indent_of(indent.as_ref())?, sort_keys: true };
    let text = json::dumps(&value, &style)?;
    let safe = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
    Ok(Value::from(safe))
}

fn quoted(text: &str, query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub fn urlencode(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("urlencode")?;
    if let Value::Str(text) = &value {
        return Ok(Value::from(quoted(text, false)));
    }
    let pairs = match mapping_items(interpreter, &value)? {
        Some(pairs) => pairs,
        None => {
            let Ok(items) = iterate(interpreter, &value) else {
                return Ok(Value::from(quoted(&value.to_str(), false)));
            };
            let mut pairs = Vec::with_capacity(items.len());
            for item in items {
                let pair: [Value; 2] = iterate(interpreter, &item)?
                    .try_into()
                    .map_err(|_| value_error("not enough values to unpack (expected 2)"))?;
                pairs.push(pair.into());
            }
            pairs
        }
    };
    let parts: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", quoted(&key.to_str(), true), quoted(&value.to_str(), true)))
        .collect();
    Ok(Value::from(parts.join("&")))
}

pub fn xmlattr(interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [autospace] = args.bind("xmlattr", ["autospace"], 0)?;
    let Some(pairs) = mapping_items(interpreter, &value)? else {
        return Err(type_error(format!("'{}' object has no attribute 'items'", value.type_name())));
    };
    let mut parts = Vec::new();
    for (key, value) in pairs {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let Value::Str(name) = &key else {
            return Err(type_error("expected string or bytes-like object"));
        };
        if name.contains(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(value_error(format!("Invalid character in attribute name: {}", key.repr())));
        }
        parts.push(format!("{}=\"{}\"", escaped(name), escaped(&value.to_str())));
    }
    let text = parts.join(" ");
    let space = if !text.is_empty() && autospace.is_none_or(|flag| flag.is_true()) { " " } else { "" };
    Ok(Value::from(format!("{space}{text}")))
}
