//! JSON as Python's `json` module writes and reads it, and conversions from and to `serde_json`.

use std::fmt::Write;
use std::rc::Rc;

use super::arguments::{expect_int, type_error, value_error};
use super::compare::sort_by_key;
use super::error::Result;
use super::number::float_repr;
use super::ops::check_size;
use super::value::{Dict, Key, Value};

/// Nesting that is neither written nor read.
const DEPTH_MAX: usize = 500;

/// How `dumps` lays text out.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// One level of indentation; `None` writes one line.
    pub indent: Option<String>,
    pub sort_keys: bool,
}

/// The `indent` argument of `json.dumps`.
pub fn indent_of(indent: Option<&Value>) -> Result<Option<String>> {
    Ok(match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.to_string()),
        Some(number) => {
            let width = usize::try_from(expect_int(number)?).unwrap_or(0);
            check_size(width)?;
            Some(" ".repeat(width))
        }
    })
}

/// `json.dumps(value)`
pub fn dumps(value: &Value, style: &Style) -> Result<String> {
    let mut out = String::new();
    write(&mut out, value, style, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(value_error("Circular reference detected"));
    }
    check_size(out.len())?;
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(_) | Value::BigInt(_) => out.push_str(&value.to_str()),
        Value::Float(number) => out.push_str(&json_float(*number)),
        Value::Str(text) => write_string(out, text),
        Value::List(items) => {
            let items = items.borrow().clone();
            write_items(out, &items, style, depth)?;
        }
        Value::Tuple(items) => write_items(out, items, style, depth)?,
        Value::Dict(dict) => {
            let pairs: Vec<_> = dict.borrow().iter().map(|(key, item)| (key.value().clone(), item.clone())).collect();
            let pairs = if style.sort_keys { sort_by_key(pairs, false)? } else { pairs };
            if pairs.is_empty() {
                out.push_str("{}");
                return Ok(());
            }
            out.push('{');
            for (index, (key, item)) in pairs.iter().enumerate() {
                separate(out, index, style, depth);
                write_string(out, &key_text(key)?);
                out.push_str(": ");
                write(out, item, style, depth + 1)?;
            }
            close(out, '}', style, depth);
        }
        Value::Object(object) if object.type_name() == "str" => write_string(out, &object.to_str()),
        _ => return Err(type_error(format!("Object of type {} is not JSON serializable", short_type_name(value)))),
    }
    Ok(())
}

fn short_type_name(value: &Value) -> &'static str {
    let name = value.type_name();
    name.rsplit('.').next().unwrap_or(name)
}

fn json_float(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number => float_repr(number),
    }
}

fn key_text(key: &Value) -> Result<Rc<str>> {
    Ok(match key {
        Value::Str(text) => text.clone(),
        Value::None => "null".into(),
        Value::Bool(flag) => flag.to_string().into(),
        Value::Int(_) | Value::BigInt(_) => key.to_str(),
        Value::Float(number) => json_float(*number).into(),
        _ => {
            let name = key.type_name();
            return Err(type_error(format!("keys must be str, int, float, bool or None, not {name}")));
        }
    })
}

fn separate(out: &mut String, index: usize, style: &Style, depth: usize) {
    match &style.indent {
        Some(indent) => {
            out.push_str(if index > 0 { ",\n" } else { "\n" });
            out.push_str(&indent.repeat(depth + 1));
        }
        None if index > 0 => out.push_str(", "),
        None => {}
    }
}

fn close(out: &mut String, bracket: char, style: &Style, depth: usize) {
    if let Some(indent) = &style.indent {
        out.push('\n');
        out.push_str(&indent.repeat(depth));
    }
    out.push(bracket);
}

fn write_items(out: &mut String, items: &[Value], style: &Style, depth: usize) -> Result<()> {
    if items.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        separate(out, index, style, depth);
        write(out, item, style, depth + 1)?;
    }
    close(out, ']', style, depth);
    Ok(())
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string does not fail");
                }
            }
        }
    }
    out.push('"');
}

/// `json.loads(text)`
pub fn loads(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.error("Extra data"));
    }
    Ok(value)
}

/// A reader at a place in the text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, message: &str) -> super::error::Interrupt {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = before.chars().count();
        value_error(format!("{message}: line {line} column {column} (char {place})"))
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > DEPTH_MAX {
            return Err(self.error("Nesting is deeper than the limit"));
        }
        let constants: [(&str, Value); 6] = [
            ("null", Value::None),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (name, value) in constants {
            if self.eat(name) {
                return Ok(value);
            }
        }
        match self.rest().as_bytes().first() {
            Some(b'"') => self.string().map(Value::from),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("Expecting value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat("]") {
            return Ok(Value::list(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Value::list(items));
            }
            if !self.eat(",") {
                return Err(self.error("Expecting ',' delimiter"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut dict = Dict::new();
        self.skip_space();
        if self.eat("}") {
            return Ok(Value::dict(dict));
        }
        loop {
            self.skip_space();
            if !self.rest().starts_with('"') {
                return Err(self.error("Expecting property name enclosed in double quotes"));
            }
            let name = self.string()?;
            self.skip_space();
            if !self.eat(":") {
                return Err(self.error("Expecting ':' delimiter"));
            }
            self.skip_space();
            let value = self.value(depth + 1)?;
            dict.insert(Key::str(name), value);
            self.skip_space();
            if self.eat("}") {
                return Ok(Value::dict(dict));
            }
            if !self.eat(",") {
                return Err(self.error("Expecting ',' delimiter"));
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let sign = usize::from(rest.starts_with('-'));
        let whole = match digits(&rest[sign..]) {
            0 => return Err(self.error("Expecting value")),
            _ if rest[sign..].starts_with('0') => 1,
            count => count,
        };
        let mut end = sign + whole;
        let mut is_float = false;
        if rest[end..].starts_with('.') && digits(&rest[end + 1..]) > 0 {
            end += 1 + digits(&rest[end + 1..]);
            is_float = true;
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let exponent = digits(&rest[end + 1 + sign..]);
            if exponent > 0 {
                end += 1 + sign + exponent;
                is_float = true;
            }
        }
        let text = &rest[..end];
        let value = if is_float {
            text.parse().ok().map(Value::Float)
        } else {
            super::number::parse_int(text, 10).map(Value::integer)
        };
        let value = value.ok_or_else(|| self.error("Expecting value"))?;
        self.at += end;
        Ok(value)
    }

    fn string(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                self.at = start;
                return Err(self.error("Unterminated string starting at"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => {
                    let escape = self.rest().chars().next().unwrap_or_default();
                    self.at += escape.len_utf8().min(self.rest().len());
                    match escape {
                        '"' | '\\' | '/' => out.push(escape),
                        'b' => out.push('\x08'),
                        'f' => out.push('\x0c'),
                        'n' => out.push('\n'),
                        'r' => out.push('\r'),
                        't' => out.push('\t'),
                        'u' => out.push(self.unicode_escape()?),
                        _ => return Err(self.error("Invalid \\escape")),
                    }
                }
                c if (c as u32) < 0x20 => return Err(self.error("Invalid control character at")),
                c => out.push(c),
            }
        }
    }

    fn hex4(&mut self) -> Result<u16> {
        let unit = self.rest().get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("Invalid \\uXXXX escape"))?;
        self.at += 4;
        Ok(unit)
    }

    /// A lone surrogate, which Rust's strings cannot hold, becomes the replacement character.
    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.hex4()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && self.rest().starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if let Some(Ok(c)) = char::decode_utf16([first, second]).next() {
                return Ok(c);
            }
            self.at = before;
        }
        Ok(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::None,
            serde_json::Value::Bool(flag) => Self::Bool(*flag),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Self::Int(integer),
                (None, Some(integer)) => Self::integer(integer),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::str(text.as_str()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from).collect::<Vec<_>>()),
            serde_json::Value::Object(fields) => {
                Self::dict(fields.iter().map(|(name, value)| (Key::str(name.as_str()), Self::from(value))).collect())
            }
        }
    }
}

impl Value {
    /// The value as JSON; what JSON has no type for is a `TypeError`, and integers beyond 64 bits become floats.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        to_json(self, 0)
    }
}

fn to_json(value: &Value, depth: usize) -> Result<serde_json::Value> {
    use serde_json::Value as Json;
    if depth > DEPTH_MAX {
        return Err(value_error("Circular reference detected"));
    }
    let array = |items: &[Value]| items.iter().map(|item| to_json(item, depth + 1)).collect::<Result<Vec<_>>>();
    Ok(match value {
        Value::None => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => Json::from(*number),
        Value::BigInt(_) => super::number::to_float(value)?.map_or(Json::Null, Json::from),
        Value::Float(number) => Json::from(*number),
        Value::Str(text) => Json::String(text.to_string()),
        Value::List(items) => Json::Array(array(&items.borrow())?),
        Value::Tuple(items) => Json::Array(array(items)?),
        Value::Dict(dict) => {
            let mut fields = serde_json::Map::new();
            for (key, item) in dict.borrow().iter() {
                fields.insert(key_text(key.value())?.to_string(), to_json(item, depth + 1)?);
            }
            Json::Object(fields)
        }
        _ => return Err(type_error(format!("Object of type {} is not JSON serializable", short_type_name(value)))),
    })
}
